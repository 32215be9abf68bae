// SPDX-License-Identifier: Apache-2.0
//
// The stored form of many readings of one device: what one flush brought, by attribute, as deltas
// of exact decimals. docs/storage-format.md is its grammar. Pure functions of bytes; no I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
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

  // Takes the points of one instant, from the front of `points` on, and leaves there what it has
  // not taken: the answer is about the first of those. `ms` must not be below that of the points
  // before. Strings are borrowed until encode().
  Added add(int64_t ms, std::span<const Point>& points);
  Added add(int64_t ms, const Point& point) {
    std::span one(&point, 1);
    return add(ms, one);
  }
  // The attribute's number in the dictionary. Once for each attribute.
  void learn(Symbol attribute, uint32_t id);

  bool empty() const { return points_ == 0; }
  // Whether there is room for all of these beside what there is; what is too much for any chunk
  // never fits.
  bool fits(std::span<const Point> points) const;
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
    std::vector<T> values;
    // Indices of times_; none as long as the first value is of the first time, and so on.
    std::vector<uint32_t> slots;
    void add(uint32_t slot, T value) {
      if (slot != values.size()) [[unlikely]] {
        note_slots();
        slots.push_back(slot);
      }
      values.push_back(value);
    }
    void note_slots() {
      if (slots.size() == values.size()) return;
      slots.resize(values.size());
      std::iota(slots.begin(), slots.end(), 0U);
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

  // nullptr if it is not known; else cursor_ points to it.
  Attribute* find(Symbol name) {
    const bool is_next = cursor_ < attributes_.size() && attributes_[cursor_].name == name;
    return is_next ? &attributes_[cursor_] : look_up(name);
  }
  Attribute* look_up(Symbol name);
  Added add_other(Attribute& attribute, uint32_t slot, const Value& value);
  template <class T>
  uint8_t* put_head(uint8_t* out, uint32_t id, uint8_t kind, Column<T>& column);
  uint8_t* put_times(uint8_t* out);
  uint8_t* put_numbers(uint8_t* out, Attribute& attribute);
  uint8_t* put_flags(uint8_t* out, Attribute& attribute);
  uint8_t* put_texts(uint8_t* out, Attribute& attribute);

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
