// SPDX-License-Identifier: Apache-2.0
//
// What the two halves of the chunk codec share: numbers that docs/storage-format.md fixes.
#pragma once

#include <zlib.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "store/chunk.hpp"

namespace fieldpost::chunk_format {

inline constexpr uint8_t kVersion = 1;
inline constexpr size_t kChecksumBytes = 4;

// A column's first byte: kind, and flags.
enum Kind : uint8_t {
  kDecimal0 = 0,  // …kDecimal0 + 4: integers, divided by 10^(kind)
  kDouble = 5,
  kFloat = 6,  // doubles that are a float, as Modbus delivers them
  kBoolean = 7,
  kText = 8,
};
inline constexpr uint8_t kKindMask = 0x0f;
inline constexpr uint8_t kConstant = 0x10;       // only the first value is there
inline constexpr uint8_t kNextAttribute = 0x80;  // id = that of the column before + 1; not stored
// At which of the chunk's times a column has a value.
inline constexpr uint8_t kPresenceMask = 0x60;
inline constexpr uint8_t kAlways = 0x00;
inline constexpr uint8_t kSameTimes = 0x20;  // as the column before
inline constexpr uint8_t kTimeMap = 0x40;    // a bit for each time
inline constexpr uint8_t kTimeList = 0x60;   // count, then distances

inline constexpr int kMaxDecimals = 4;
inline constexpr double kPowersOfTen[kMaxDecimals + 1] = {1, 10, 100, 1000, 10'000};
// Integers up to here survive a double.
inline constexpr int64_t kMaxInteger = int64_t{1} << 53;

// Tokens of a series.
inline constexpr uint64_t kOneZero = 0;
inline constexpr uint64_t kZeroRun = 1;  // followed by its length - 2
// Tokens of a text column.
inline constexpr uint64_t kNewText = 0;     // followed by length and bytes
inline constexpr uint64_t kRepeatRun = 1;   // of the value before; followed by its length - 1
inline constexpr uint64_t kFirstEntry = 2;  // + index into the texts so far
inline constexpr size_t kMaxEntries = 64;   // of them that are searched when writing

inline uint64_t zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
inline int64_t unzigzag(uint64_t value) {
  return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

// zlib's CRC-32 of the bytes and the row's other columns.
inline uint32_t checksum(const uint8_t* bytes, size_t size, const ChunkKey& key) {
  uint8_t columns[4 * sizeof(int64_t)];
  const int64_t values[4] = {key.device, key.boot, key.t0, key.points};
  for (size_t i = 0; i < sizeof columns; ++i) {
    columns[i] = static_cast<uint8_t>(static_cast<uint64_t>(values[i / 8]) >> (8 * (i % 8)));
  }
  uLong crc = ::crc32_z(0, bytes, size);
  crc = ::crc32_z(crc, columns, sizeof columns);
  return static_cast<uint32_t>(crc);
}

// Whether `bytes` end in the checksum of what is before it.
inline bool checksum_holds(std::span<const uint8_t> bytes, const ChunkKey& key) {
  if (bytes.size() <= kChecksumBytes) return false;
  const size_t size = bytes.size() - kChecksumBytes;
  uint32_t stored = 0;
  for (size_t i = 0; i < kChecksumBytes; ++i) stored |= uint32_t{bytes[size + i]} << (8 * i);
  return stored == checksum(bytes.data(), size, key);
}

}  // namespace fieldpost::chunk_format
