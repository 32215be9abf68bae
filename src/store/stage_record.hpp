// SPDX-License-Identifier: Apache-2.0
//
// The record of stage 1 (store/stage_log.hpp) that holds samples, without its frame
// (store/stage_file.hpp). Names are numbered from 0 in each file, as they come; a record brings
// those that are new in its file.
//
//   samples := names_at:u32 first:varint count:varint sample{count} name*
//   name    := size:varint bytes           (the first one is at `names_at` of the record)
//   sample  := device:varint utc:u8 ms:varint (zigzag) points:varint point{points}
//   point   := kind:u8 [name:varint] value
//   kind    := 0 number, 1 false, 2 true, 3 string; + 4 if the name's number follows, else it is
//              the one after the name before
//   value   := 8 bytes | nothing | nothing | size:varint bytes
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/reading.hpp"
#include "model/wire.hpp"

namespace fieldpost {

inline uint64_t zigzag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
inline int64_t unzigzag(uint64_t v) { return static_cast<int64_t>((v >> 1) ^ (~(v & 1) + 1)); }

// What `fill` writes: the body of a record that has no samples.
template <class F>
std::vector<std::byte> written_body(F fill) {
  std::vector<std::byte> body;
  {
    wire::Writer out(body);
    fill(out);
  }  // only now the body ends where it should
  return body;
}

// A sample and its number in the log.
struct Staged {
  int64_t number = 0;
  DeviceSample sample;
};

// What a sample comes to in a transaction or a record, roughly and rather too much.
inline int64_t sample_bytes(std::span<const Point> points) {
  constexpr int64_t kSample = 32;  // its row's part, its time
  constexpr int64_t kReading = 12;
  int64_t bytes = kSample;
  for (const Point& p : points) {
    bytes += kReading;
    if (const auto* text = std::get_if<std::string>(&p.value)) {
      bytes += static_cast<int64_t>(text->size());
    }
  }
  return bytes;
}

// The names that the records of one file refer to by number.
class StageNames {
 public:
  size_t size() const { return names_.size(); }
  // Of a name, which is added if it is new.
  uint32_t number_of(Symbol name) {
    if (next_ < names_.size() && names_[next_] == name) return next_++;
    return look_up(name);
  }
  // nullptr: no such number.
  Symbol at(uint64_t number) const { return number < names_.size() ? names_[number] : nullptr; }
  void add(Symbol name);
  // Forgets all but the first so many.
  void shrink(size_t size);

 private:
  uint32_t look_up(Symbol name);
  std::vector<Symbol> names_;
  std::unordered_map<Symbol, uint32_t> numbers_;
  uint32_t next_ = 0;  // where the next name probably stands
};

// The record of samples, the first of which has the number `first`, in `buffer`, which only grows.
// Adds to `names`.
std::span<const std::byte> encode_samples(std::span<const DeviceSample> samples, int64_t first,
                                          StageNames& names, std::vector<std::byte>& buffer);

// Reads such a record, one sample after the other. The record stays where it is meanwhile.
class StagedReader {
 public:
  explicit StagedReader(std::span<const std::byte> record);

  // Takes over the names it brings: once, when its file is read for the first time.
  void learn(StageNames& names, SymbolTable& symbols) const;
  // The next one, in the memory that `ret` has; false after the last, or where the record makes no
  // sense.
  bool next(const StageNames& names, Staged* ret);
  // All were read.
  bool done() const { return ok_ && read_ == count_ && samples_.empty(); }

  int64_t first() const { return first_; }

 private:
  std::span<const std::byte> samples_;  // what is left of them
  std::span<const std::byte> names_;
  int64_t first_ = 0;
  uint64_t read_ = 0;
  uint64_t count_ = 0;
  bool ok_ = true;
};

}  // namespace fieldpost
