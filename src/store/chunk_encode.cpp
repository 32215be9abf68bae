// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>

#include "store/chunk.hpp"
#include "store/chunk_format.hpp"

namespace fieldpost {
namespace {

using namespace chunk_format;

constexpr size_t kVarintBytes = 10;

uint8_t* put_varint(uint8_t* out, uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<uint8_t>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<uint8_t>(value);
  return out;
}

template <class Unsigned>
uint8_t* put_fixed(uint8_t* out, Unsigned value) {
  for (size_t i = 0; i < sizeof value; ++i) *out++ = static_cast<uint8_t>(value >> (8 * i));
  return out;
}

// The first value, then differences; runs of zeros are counted.
uint8_t* put_series(uint8_t* out, const std::vector<int64_t>& values) {
  out = put_varint(out, zigzag(values[0]));
  for (size_t i = 1; i < values.size();) {
    if (values[i] != values[i - 1]) {
      out = put_varint(out, zigzag(values[i] - values[i - 1]) + 1);
      ++i;
      continue;
    }
    const size_t begin = i;
    while (i < values.size() && values[i] == values[begin - 1]) ++i;
    if (i - begin == 1) {
      *out++ = kOneZero;
    } else {
      *out++ = kZeroRun;
      out = put_varint(out, i - begin - 2);
    }
  }
  return out;
}

// The integer that gives exactly `value` when divided by 10^k. Adding a half and truncating need
// not round like rint(): what counts is that the division gives every bit back.
bool to_integer(double value, int k, int64_t* ret) {
  const double scaled = value * kPowersOfTen[k];
  if (!(std::fabs(scaled) < static_cast<double>(kMaxInteger))) return false;  // also NaN
  *ret = static_cast<int64_t>(scaled + std::copysign(0.5, scaled));
  return std::bit_cast<uint64_t>(static_cast<double>(*ret) / kPowersOfTen[k]) ==
         std::bit_cast<uint64_t>(value);
}

bool multiply_by_ten(std::vector<int64_t>& integers, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    integers[i] *= 10;  // at most 2^53 before, so this cannot overflow
    if (integers[i] > kMaxInteger || integers[i] < -kMaxInteger) return false;
  }
  return true;
}

// With as few decimals as all of them need; -1 if they are no decimals.
int to_decimals(const std::vector<double>& values, std::vector<int64_t>* ret) {
  ret->resize(values.size());
  int k = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    while (!to_integer(values[i], k, &(*ret)[i])) {
      // What was exact with k decimals is exact with one more: the same quotient, rounded once.
      if (++k > kMaxDecimals || !multiply_by_ten(*ret, i)) return -1;
    }
  }
  return k;
}

bool is_float(double value) {
  if (!(std::fabs(value) <= static_cast<double>(std::numeric_limits<float>::max()))) return false;
  return std::bit_cast<uint64_t>(static_cast<double>(static_cast<float>(value))) ==
         std::bit_cast<uint64_t>(value);
}

bool same_bits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

}  // namespace

void ChunkWriter::learn(Symbol attribute, uint32_t id) {
  index_.emplace(attribute, attributes_.size());
  attributes_.emplace_back();
  attributes_.back().name = attribute;
  attributes_.back().id = id;
}

ChunkWriter::Added ChunkWriter::add(int64_t ms, std::span<const Point>& points) {
  if (points.empty()) return Added::Yes;
  if (ms < -kMaxChunkTime || ms > kMaxChunkTime) return Added::Refused;
  const bool new_time = times_.empty() || times_.back() != ms;
  const auto slot = static_cast<uint32_t>(times_.size() - (new_time ? 0 : 1));
  const auto most = std::min(points.size(), kMaxChunkPoints - points_);
  size_t taken = 0;
  auto added = Added::Yes;
  for (; taken < most; ++taken) {
    const Point& point = points[taken];
    Attribute* const attribute = find(point.attribute);
    if (attribute == nullptr || attribute->last_slot == slot) {
      added = attribute == nullptr ? Added::Unknown : Added::Full;
      break;
    }
    if (const auto* number = std::get_if<double>(&point.value)) {
      attribute->numbers.add(slot, *number);
    } else if (added = add_other(*attribute, slot, point.value); added != Added::Yes) {
      break;
    }
    attribute->last_slot = slot;
    ++cursor_;
  }
  if (new_time && taken > 0) times_.push_back(ms);
  points_ += taken;
  points = points.subspan(taken);
  return added == Added::Yes && !points.empty() ? Added::Full : added;
}

bool ChunkWriter::fits(std::span<const Point> points) const {
  if (points_ + points.size() > kMaxChunkPoints) return false;
  size_t text = text_bytes_;
  for (const Point& point : points) {
    if (const auto* value = std::get_if<std::string>(&point.value)) text += value->size();
  }
  return text <= kMaxChunkText;
}

ChunkWriter::Attribute* ChunkWriter::look_up(Symbol name) {
  if (cursor_ >= attributes_.size()) cursor_ = 0;
  if (attributes_.empty() || attributes_[cursor_].name != name) {
    const auto found = index_.find(name);
    if (found == index_.end()) return nullptr;
    cursor_ = found->second;
  }
  return &attributes_[cursor_];
}

ChunkWriter::Added ChunkWriter::add_other(Attribute& attribute, uint32_t slot, const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) {
    attribute.flags.add(slot, *flag ? 1 : 0);
    return Added::Yes;
  }
  const std::string_view text = *std::get_if<std::string>(&value);
  if (text.size() > kMaxText) return Added::Refused;
  if (text_bytes_ + text.size() > kMaxChunkText) return Added::Full;
  text_bytes_ += text.size();
  attribute.texts.add(slot, text);
  return Added::Yes;
}

uint8_t* ChunkWriter::put_times(uint8_t* out) {
  out = put_varint(out, times_.size());
  if (times_.size() == 1) return out;
  integers_.clear();
  for (size_t i = 1; i < times_.size(); ++i) integers_.push_back(times_[i] - times_[i - 1]);
  return put_series(out, integers_);
}

template <class T>
uint8_t* ChunkWriter::put_head(uint8_t* out, uint32_t id, uint8_t kind, Column<T>& column) {
  const size_t times = times_.size();
  const bool next = id == last_id_ + 1;
  const std::vector<uint32_t>& slots = column.slots;
  uint8_t presence = kAlways;
  if (column.values.size() < times) {
    column.note_slots();
    if (last_slots_ != nullptr && slots == *last_slots_) {
      presence = kSameTimes;
    } else {
      presence = (times + 7) / 8 <= 1 + 2 * slots.size() ? kTimeMap : kTimeList;
    }
  }
  *out++ = static_cast<uint8_t>(kind | presence | (next ? kNextAttribute : 0));
  if (!next) out = put_varint(out, id);
  if (presence == kTimeMap) {
    std::memset(out, 0, (times + 7) / 8);
    for (const uint32_t slot : slots) out[slot / 8] |= static_cast<uint8_t>(1U << (slot % 8));
    out += (times + 7) / 8;
  } else if (presence == kTimeList) {
    out = put_varint(out, slots.size());
    uint32_t expected = 0;
    for (const uint32_t slot : slots) {
      out = put_varint(out, slot - expected);
      expected = slot + 1;
    }
  }
  last_id_ = id;
  last_slots_ = &slots;
  return out;
}

uint8_t* ChunkWriter::put_numbers(uint8_t* out, Attribute& attribute) {
  const std::vector<double>& values = attribute.numbers.values;
  if (const int k = to_decimals(values, &integers_); k >= 0) {
    const bool constant =
        std::ranges::all_of(integers_, [&](int64_t i) { return i == integers_[0]; });
    out = put_head(out, attribute.id, static_cast<uint8_t>(k | (constant ? kConstant : 0)),
                   attribute.numbers);
    return constant ? put_varint(out, zigzag(integers_[0])) : put_series(out, integers_);
  }
  const bool constant =
      std::ranges::all_of(values, [&](double v) { return same_bits(v, values[0]); });
  const bool narrow = std::ranges::all_of(values, is_float);
  out = put_head(out, attribute.id,
                 static_cast<uint8_t>((narrow ? kFloat : kDouble) | (constant ? kConstant : 0)),
                 attribute.numbers);
  for (size_t i = 0; i < (constant ? 1 : values.size()); ++i) {
    out = narrow ? put_fixed(out, std::bit_cast<uint32_t>(static_cast<float>(values[i])))
                 : put_fixed(out, std::bit_cast<uint64_t>(values[i]));
  }
  return out;
}

uint8_t* ChunkWriter::put_flags(uint8_t* out, Attribute& attribute) {
  const std::vector<uint8_t>& values = attribute.flags.values;
  const bool constant = std::ranges::all_of(values, [&](uint8_t v) { return v == values[0]; });
  out = put_head(out, attribute.id, kBoolean | (constant ? kConstant : 0), attribute.flags);
  const size_t count = constant ? 1 : values.size();
  std::memset(out, 0, (count + 7) / 8);
  for (size_t i = 0; i < count; ++i) out[i / 8] |= static_cast<uint8_t>(values[i] << (i % 8));
  return out + (count + 7) / 8;
}

uint8_t* ChunkWriter::put_texts(uint8_t* out, Attribute& attribute) {
  const std::vector<std::string_view>& values = attribute.texts.values;
  const bool constant = std::ranges::all_of(values, [&](auto v) { return v == values[0]; });
  out = put_head(out, attribute.id, kText | (constant ? kConstant : 0), attribute.texts);
  entries_.clear();
  for (size_t i = 0; i < (constant ? 1 : values.size());) {
    const size_t begin = i;
    while (i > 0 && i < values.size() && values[i] == values[begin - 1]) ++i;
    if (i > begin) {
      out = put_varint(put_varint(out, kRepeatRun), i - begin - 1);
      continue;
    }
    const std::string_view text = values[i++];
    const size_t searched = std::min(entries_.size(), kMaxEntries);
    const auto end = entries_.begin() + static_cast<ptrdiff_t>(searched);
    if (const auto found = std::find(entries_.begin(), end, text); found != end) {
      out = put_varint(out, kFirstEntry + static_cast<uint64_t>(found - entries_.begin()));
      continue;
    }
    entries_.push_back(text);
    out = put_varint(put_varint(out, kNewText), text.size());
    if (!text.empty()) std::memcpy(out, text.data(), text.size());
    out += text.size();
  }
  return out;
}

std::string_view ChunkWriter::encode(int64_t device, int64_t boot) {
  size_t columns = 0;
  for (const Attribute& a : attributes_) {
    columns += size_t{!a.numbers.values.empty()} + size_t{!a.flags.values.empty()} +
               size_t{!a.texts.values.empty()};
  }
  // More than anything below can write: a value, its share of the presence and a time, each point.
  const size_t bound = 64 + columns * 3 * kVarintBytes + points_ * 4 * kVarintBytes + text_bytes_;
  if (buffer_.size() < bound) buffer_.resize(bound);

  const ChunkKey key{.device = device, .boot = boot, .t0 = t0(), .points = points()};
  uint8_t* out = buffer_.data();
  *out++ = kVersion;
  out = put_times(out);
  out = put_varint(out, columns);
  last_slots_ = nullptr;
  last_id_ = 0;
  for (Attribute& a : attributes_) {
    if (!a.numbers.values.empty()) out = put_numbers(out, a);
    if (!a.flags.values.empty()) out = put_flags(out, a);
    if (!a.texts.values.empty()) out = put_texts(out, a);
  }
  out = put_fixed(out, checksum(buffer_.data(), static_cast<size_t>(out - buffer_.data()), key));
  clear();
  return {reinterpret_cast<const char*>(buffer_.data()), static_cast<size_t>(out - buffer_.data())};
}

void ChunkWriter::clear() {
  for (Attribute& attribute : attributes_) {
    attribute.numbers.clear();
    attribute.flags.clear();
    attribute.texts.clear();
    attribute.last_slot = kNoSlot;
  }
  times_.clear();
  points_ = 0;
  text_bytes_ = 0;
  cursor_ = 0;
}

}  // namespace fieldpost
