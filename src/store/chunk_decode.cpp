// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <optional>
#include <span>

#include "store/chunk.hpp"
#include "store/chunk_format.hpp"

namespace fieldpost {
namespace {

using namespace chunk_format;

Error corrupt(const char* what) { return {Errc::Corrupt, std::string("chunk: ") + what}; }

// Takes bytes off the front; what is not there is 0 and sets failed().
class Reader {
 public:
  explicit Reader(std::string_view bytes)
      : at_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

  bool failed() const { return failed_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }

  uint8_t byte() {
    if (at_ == end_) return fail();
    return *at_++;
  }
  uint64_t varint() {
    if (at_ != end_ && *at_ < 0x80) return *at_++;
    return long_varint();
  }
  template <class Unsigned>
  Unsigned fixed() {
    if (left() < sizeof(Unsigned)) return fail();
    Unsigned value = 0;
    for (size_t i = 0; i < sizeof value; ++i) {
      value = static_cast<Unsigned>(value | (Unsigned{at_[i]} << (8 * i)));
    }
    at_ += sizeof value;
    return value;
  }
  std::span<const uint8_t> take(size_t size) {
    if (left() < size) {
      fail();
      return {};
    }
    const std::span<const uint8_t> taken(at_, size);
    at_ += size;
    return taken;
  }

 private:
  uint64_t long_varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; at_ != end_ && shift < 64; shift += 7) {
      const uint8_t byte = *at_++;
      if (shift == 63 && byte > 1) break;  // beyond 64 bits
      value |= uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
    return fail();
  }
  uint8_t fail() {
    failed_ = true;
    at_ = end_;
    return 0;
  }

  const uint8_t* at_;
  const uint8_t* end_;
  bool failed_ = false;
};

// Reads what put_series() writes, one value at a time. Values stay within ±kMaxInteger.
class Series {
 public:
  explicit Series(Reader& reader) : reader_(reader) {}

  std::optional<int64_t> next() {
    if (zeros_ > 0) {
      --zeros_;
      return value_;
    }
    if (!started_) {
      started_ = true;
      return set(unzigzag(reader_.varint()), 0);
    }
    const uint64_t token = reader_.varint();
    if (token == kZeroRun) {
      zeros_ = reader_.varint();
      if (zeros_ > kMaxChunkPoints) return std::nullopt;
      ++zeros_;  // a run of n + 2: this one, and n + 1 more
      return value_;
    }
    if (token == kOneZero) return value_;
    return set(unzigzag(token - 1), value_);
  }
  // A run must not go on beyond the last value.
  bool ended() const { return zeros_ == 0; }

 private:
  std::optional<int64_t> set(int64_t change, int64_t base) {
    if (reader_.failed() || change > 2 * kMaxInteger || change < -2 * kMaxInteger) {
      return std::nullopt;
    }
    value_ = base + change;
    if (value_ > kMaxInteger || value_ < -kMaxInteger) return std::nullopt;
    return value_;
  }

  Reader& reader_;
  int64_t value_ = 0;
  uint64_t zeros_ = 0;
  bool started_ = false;
};

class Decoder {
 public:
  Decoder(std::string_view body, const ChunkKey& key,
          const std::function<Symbol(uint32_t)>& symbol_of)
      : reader_(body), key_(key), symbol_of_(symbol_of) {}

  Result<std::vector<State>> run() {
    reader_.byte();  // the version, seen before
    FP_CHECK_OK(times());
    const uint64_t columns = reader_.varint();
    if (columns > static_cast<uint64_t>(key_.points)) return corrupt("too many columns");
    const size_t share = static_cast<size_t>(key_.points) / states_.size() + 1;
    for (State& state : states_) state.points.reserve(std::min<size_t>(columns, share));
    for (uint64_t i = 0; i < columns; ++i) FP_CHECK_OK(column());
    if (reader_.failed() || reader_.left() > 0) return corrupt("its length is wrong");
    if (points_ != static_cast<uint64_t>(key_.points)) return corrupt("its count is wrong");
    for (const State& state : states_) {
      if (state.points.empty()) return corrupt("a time without a value");
    }
    return std::move(states_);
  }

 private:
  Result<> times() {
    const uint64_t count = reader_.varint();
    if (count == 0 || count > static_cast<uint64_t>(key_.points)) return corrupt("too many times");
    states_.resize(count);
    states_[0].time_ms = key_.t0;
    if (count == 1) return {};
    Series steps(reader_);
    for (size_t i = 1; i < count; ++i) {
      const std::optional<int64_t> step = steps.next();
      if (!step || *step <= 0) return corrupt("times");
      states_[i].time_ms = states_[i - 1].time_ms + *step;
      if (states_[i].time_ms > kMaxChunkTime) return corrupt("times");
    }
    return steps.ended() ? Result<>() : corrupt("times");
  }

  Result<> column() {
    const uint8_t head = reader_.byte();
    const uint64_t id = (head & kNextAttribute) != 0 ? uint64_t{id_} + 1 : reader_.varint();
    if (id > std::numeric_limits<uint32_t>::max()) return corrupt("an attribute's number");
    id_ = static_cast<uint32_t>(id);
    FP_CHECK_OK(presence(head & kPresenceMask));
    points_ += count_;
    if (points_ > static_cast<uint64_t>(key_.points)) return corrupt("its count is wrong");
    symbol_ = symbol_of_(id_);
    if (symbol_ == nullptr) return corrupt("an attribute that has no name");
    constant_ = (head & kConstant) != 0;
    switch (head & kKindMask) {
      case kDouble:
        return raw<uint64_t, double>();
      case kFloat:
        return raw<uint32_t, float>();
      case kBoolean:
        return flags();
      case kText:
        return texts();
      default:
        if ((head & kKindMask) > kMaxDecimals) return corrupt("an unknown kind of column");
        return decimals(kPowersOfTen[head & kKindMask]);
    }
  }

  Result<> presence(uint8_t how) {
    const size_t times = states_.size();
    if (how == kSameTimes) return count_ > 0 ? Result<>() : corrupt("presence");
    slots_.clear();
    always_ = how == kAlways;
    if (how == kAlways) {
      count_ = times;
    } else if (how == kTimeMap) {
      const std::span<const uint8_t> map = reader_.take((times + 7) / 8);
      for (size_t i = 0; i < map.size() * 8; ++i) {
        if ((map[i / 8] >> (i % 8) & 1) != 0) slots_.push_back(static_cast<uint32_t>(i));
      }
      count_ = slots_.size();
    } else {
      count_ = reader_.varint();
      if (count_ > times) return corrupt("presence");
      uint64_t slot = 0;
      for (size_t i = 0; i < count_ && slot < times; ++i, ++slot) {
        slot += std::min<uint64_t>(reader_.varint(), times);
        slots_.push_back(static_cast<uint32_t>(slot));
      }
      if (slots_.size() != count_) return corrupt("presence");
    }
    if (count_ == 0 || (!always_ && slots_.back() >= times)) return corrupt("presence");
    return {};
  }

  std::vector<Point>& points_at(size_t i) { return states_[always_ ? i : slots_[i]].points; }

  Result<> decimals(double divisor) {
    Series series(reader_);
    std::optional<int64_t> integer = series.next();
    for (size_t i = 0; i < count_; ++i) {
      if (i > 0 && !constant_) integer = series.next();
      if (!integer) return corrupt("a number");
      points_at(i).emplace_back(symbol_, static_cast<double>(*integer) / divisor);
    }
    return series.ended() ? Result<>() : corrupt("a number");
  }

  template <class Bits, class Number>
  Result<> raw() {
    Bits bits = reader_.fixed<Bits>();
    for (size_t i = 0; i < count_; ++i) {
      if (i > 0 && !constant_) bits = reader_.fixed<Bits>();
      if (reader_.failed()) return corrupt("a number");
      points_at(i).emplace_back(symbol_, static_cast<double>(std::bit_cast<Number>(bits)));
    }
    return {};
  }

  Result<> flags() {
    const std::span<const uint8_t> bits = reader_.take(((constant_ ? 1 : count_) + 7) / 8);
    if (reader_.failed()) return corrupt("a flag");
    for (size_t i = 0; i < count_; ++i) {
      const size_t bit = constant_ ? 0 : i;
      points_at(i).emplace_back(symbol_, (bits[bit / 8] >> (bit % 8) & 1) != 0);
    }
    return {};
  }

  Result<> texts() {
    entries_.clear();
    std::string_view text;
    uint64_t repeats = 0;
    for (size_t i = 0; i < count_; ++i) {
      if (repeats > 0) {
        --repeats;
      } else if (i == 0 || !constant_) {
        FP_CHECK_OK(next_text(&text, &repeats));
      }
      text_bytes_ += text.size();
      if (text_bytes_ > kMaxChunkText) return corrupt("too much text");
      points_at(i).emplace_back(symbol_, std::string(text));
    }
    return repeats == 0 ? Result<>() : corrupt("a text");
  }

  Result<> next_text(std::string_view* text, uint64_t* repeats) {
    const uint64_t token = reader_.varint();
    if (token == kNewText) {
      const uint64_t size = reader_.varint();
      if (size > kMaxText) return corrupt("a text");
      const std::span<const uint8_t> bytes = reader_.take(size);
      *text = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
      entries_.push_back(*text);
    } else if (token == kRepeatRun) {
      *repeats = reader_.varint();
      if (entries_.empty() || *repeats > kMaxChunkPoints) return corrupt("a text");
    } else {
      if (token - kFirstEntry >= entries_.size()) return corrupt("a text");
      *text = entries_[token - kFirstEntry];
    }
    return reader_.failed() ? corrupt("a text") : Result<>();
  }

  Reader reader_;
  const ChunkKey& key_;
  const std::function<Symbol(uint32_t)>& symbol_of_;
  std::vector<State> states_;
  uint64_t points_ = 0;
  size_t text_bytes_ = 0;
  std::vector<std::string_view> entries_;
  // Of the column at hand.
  uint32_t id_ = 0;
  Symbol symbol_ = nullptr;
  bool constant_ = false;
  bool always_ = true;
  size_t count_ = 0;
  std::vector<uint32_t> slots_;  // unless always_
};

}  // namespace

Result<std::vector<State>> decode_chunk(std::string_view bytes, const ChunkKey& key,
                                        const std::function<Symbol(uint32_t)>& symbol_of) {
  if (bytes.size() <= kChecksumBytes) return corrupt("too short");
  if (!checksum_holds({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, key)) {
    return corrupt("its checksum is wrong");
  }
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (static_cast<uint8_t>(body[0]) != kVersion) {
    return Error{Errc::Invalid, "chunk: its format is not known to this version"};
  }
  if (key.points < 1 || key.points > static_cast<int64_t>(kMaxChunkPoints)) {
    return corrupt("its count is wrong");
  }
  if (key.t0 < -kMaxChunkTime || key.t0 > kMaxChunkTime) return corrupt("times");
  return Decoder(body, key, symbol_of).run();
}

}  // namespace fieldpost
