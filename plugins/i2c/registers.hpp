// SPDX-License-Identifier: Apache-2.0
//
// What the bytes of a register mean. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>

namespace i2c {

// A field of a register: bytes -> word -> bits of `mask`, moved down by `shift` -> number.
struct Field {
  uint8_t reg = 0;
  unsigned bytes = 1;  // 1 to 4
  bool big_endian = true;
  uint32_t mask = 0xFFFF'FFFF;  // of the word as the datasheet draws it
  unsigned shift = 0;           // applied after the mask
  bool is_signed = false;       // two's complement; the highest bit of the field is the sign
  bool is_boolean = false;      // true when any bit of the field is set
  double scale = 1;             // value = count * scale + offset
  double offset = 0;
  int decimals = -1;  // rounded to; -1: not
};

// The largest word of so many bytes.
constexpr uint32_t full_mask(unsigned bytes) {
  return bytes >= 4 ? 0xFFFF'FFFF : (uint32_t{1} << (bytes * 8)) - 1;
}

// Bytes in the order of the wire; bytes.size() is field.bytes.
uint32_t to_word(const Field& field, std::span<const uint8_t> bytes);
void to_bytes(const Field& field, uint32_t word, std::span<uint8_t> ret);

// The counts that the field can hold, and the count in a word.
int64_t min_count(const Field& field);
int64_t max_count(const Field& field);
int64_t count_of(const Field& field, uint32_t word);
// `word` with the field set to `count`, which must fit.
uint32_t with_count(const Field& field, uint32_t word, int64_t count);

double to_number(const Field& field, int64_t count);
// By scale, offset and decimals alone.
double scaled(const Field& field, double number);
// The nearest count. Saturates at the limits of int64.
int64_t to_count(const Field& field, double number);

}  // namespace i2c
