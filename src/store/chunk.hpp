// SPDX-License-Identifier: Apache-2.0
//
// The stored form of many readings of one device: what one flush brought, by attribute, as deltas
// of exact decimals. docs/storage-format.md is its grammar. Pure functions of bytes; no I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "model/reading.hpp"

namespace fieldpost {

// The columns beside the bytes in their row. The checksum covers them too.
struct ChunkKey {
  int64_t device = 0;
  int64_t boot = 0;
  int64_t t0 = 0;  // ms, of the first reading
  int64_t points = 0;
};

// Bounds of one chunk, so that no row costs its reader more memory than this allows. More than
// that becomes several rows.
inline constexpr size_t kMaxChunkPoints = 8192;
inline constexpr size_t kMaxChunkText = size_t{1} << 20;    // bytes of strings, repeats counted
inline constexpr int64_t kMaxChunkTime = int64_t{1} << 52;  // ms from zero, either way

// Collects readings and turns them into a chunk. Made for one device and used for flush after
// flush: it remembers which attributes come in which order, so that a reading usually finds its
// column without a search.
class ChunkWriter {
 public:
  enum class Added : uint8_t {
    Yes,
    Unknown,  // learn() the attribute, then try again
    Full,     // encode(), then try again: a bound is reached, or this millisecond has a value of
              // the attribute already
    Refused,  // no chunk can hold it: a time or a string beyond the bounds
  };

  // `ms` must not be below that of the point before. Strings are borrowed until encode().
  Added add(int64_t ms, const Point& point) {
    if (cursor_ >= attributes_.size()) cursor_ = 0;
    if (attributes_.empty() || attributes_[cursor_].name != point.attribute) {
      const auto found = index_.find(point.attribute);
      if (found == index_.end()) return Added::Unknown;
      cursor_ = found->second;
    }
    Attribute& attribute = attributes_[cursor_];
    const bool new_time = times_.empty() || times_.back() != ms;
    if (points_ >= kMaxChunkPoints) return Added::Full;
    if (!new_time && attribute.last_slot + 1 == times_.size()) return Added::Full;
    if (ms < -kMaxChunkTime || ms > kMaxChunkTime) return Added::Refused;
    const auto slot = static_cast<uint32_t>(new_time ? times_.size() : times_.size() - 1);
    if (const auto* number = std::get_if<double>(&point.value)) {
      attribute.numbers.add(slot, *number);
    } else if (const Added added = add_other(attribute, slot, point.value); added != Added::Yes) {
      return added;
    }
    if (new_time) times_.push_back(ms);
    attribute.last_slot = slot;
    ++points_;
    ++cursor_;
    return Added::Yes;
  }
  // The attribute's number in the dictionary. Once for each attribute.
  void learn(Symbol attribute, uint32_t id);

  bool empty() const { return points_ == 0; }
  // Of what add() took since the last encode(); not to be called while empty.
  int64_t t0() const { return times_.front(); }
  int64_t points() const { return static_cast<int64_t>(points_); }

  // The chunk, valid until the next call; afterwards the writer is empty. `device` and `boot` go
  // into the checksum. Not to be called while empty.
  std::string_view encode(int64_t device, int64_t boot);
  // Forgets what add() took since the last encode().
  void clear();

 private:
  template <class T>
  struct Column {
    std::vector<uint32_t> slots;  // indices of times_
    std::vector<T> values;
    void add(uint32_t slot, T value) {
      slots.push_back(slot);
      values.push_back(value);
    }
    void clear() {
      slots.clear();
      values.clear();
    }
  };
  static constexpr uint32_t kNoSlot = std::numeric_limits<uint32_t>::max() - 1;
  struct Attribute {
    Symbol name = nullptr;
    uint32_t id = 0;
    uint32_t last_slot = kNoSlot;
    Column<double> numbers;  // one for each type: an attribute may change it
    Column<uint8_t> flags;
    Column<std::string_view> texts;
  };

  Added add_other(Attribute& attribute, uint32_t slot, const Value& value);
  uint8_t* put_head(uint8_t* out, uint32_t id, uint8_t kind, const std::vector<uint32_t>& slots);
  uint8_t* put_times(uint8_t* out);
  uint8_t* put_numbers(uint8_t* out, const Attribute& attribute);
  uint8_t* put_flags(uint8_t* out, const Attribute& attribute);
  uint8_t* put_texts(uint8_t* out, const Attribute& attribute);

  std::vector<Attribute> attributes_;
  std::unordered_map<Symbol, size_t> index_;
  size_t cursor_ = 0;  // where the next point probably belongs
  std::vector<int64_t> times_;
  size_t points_ = 0;
  size_t text_bytes_ = 0;
  // While encoding.
  const std::vector<uint32_t>* last_slots_ = nullptr;
  uint32_t last_id_ = 0;
  std::vector<int64_t> integers_;
  std::vector<std::string_view> entries_;
  std::vector<uint8_t> buffer_;
};

// The readings of a chunk as states, with the times as they were written. `symbol_of` names an
// attribute; nullptr if the dictionary does not have it. Errors: Corrupt; Invalid (a newer
// format).
Result<std::vector<State>> decode_chunk(std::string_view bytes, const ChunkKey& key,
                                        const std::function<Symbol(uint32_t)>& symbol_of);

}  // namespace fieldpost
