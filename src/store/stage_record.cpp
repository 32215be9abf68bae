// SPDX-License-Identifier: Apache-2.0
#include "store/stage_record.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "model/symbol.hpp"

namespace fieldpost {
namespace {

static_assert(std::endian::native == std::endian::little, "fixed fields are copied as they are");

enum Kind : uint8_t { kNumber = 0, kFalse = 1, kTrue = 2, kString = 3, kNamed = 4 };
constexpr size_t kMaxVarint = 10;
constexpr size_t kMaxPoint = 1 + kMaxVarint + sizeof(double);  // but text
constexpr size_t kLeastSample = 4;                             // bytes
constexpr uint64_t kMaxNumber = uint64_t{1} << 62;

// Writes where room was made before: per field that would cost more than the field.
class Out {
 public:
  explicit Out(std::vector<std::byte>& buffer) : buffer_(&buffer), at_(buffer.data()) {}

  void make_room(size_t bytes) {
    const size_t used = size();
    if (buffer_->size() - used >= bytes) return;
    buffer_->resize(std::max(used + bytes, 2 * buffer_->size()));
    at_ = buffer_->data() + used;
  }
  void byte(uint8_t v) { *at_++ = static_cast<std::byte>(v); }
  void raw(const void* data, size_t size) {
    if (size > 0) std::memcpy(at_, data, size);  // no address may come with nothing
    at_ += size;
  }
  void varint(uint64_t v) {
    for (; v >= 0x80; v >>= 7) byte(static_cast<uint8_t>(v | 0x80));
    byte(static_cast<uint8_t>(v));
  }
  size_t size() const { return static_cast<size_t>(at_ - buffer_->data()); }

 private:
  std::vector<std::byte>* buffer_;
  std::byte* at_;
};

uint8_t kind_of(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? kTrue : kFalse;
  return std::holds_alternative<double>(value) ? kNumber : kString;
}

// There is room for kMaxPoint bytes per point that is left; text makes more for itself.
void put_point(Out& out, const Point& point, uint32_t number, uint32_t expected, size_t left) {
  if (const auto* value = std::get_if<double>(&point.value); value && number == expected)
      [[likely]] {
    out.byte(kNumber);
    return out.raw(value, sizeof(double));
  }
  const uint8_t kind = kind_of(point.value);
  out.byte(number == expected ? kind : kind | kNamed);
  if (number != expected) out.varint(number);
  if (kind == kNumber) {
    out.raw(std::get_if<double>(&point.value), sizeof(double));
  } else if (kind == kString) {
    const std::string& text = *std::get_if<std::string>(&point.value);
    out.make_room(kMaxVarint + text.size() + left * kMaxPoint);
    out.varint(text.size());
    out.raw(text.data(), text.size());
  }
}

void put_sample(Out& out, const DeviceSample& sample, StageNames& names) {
  uint32_t number = names.number_of(sample.device);
  size_t left = sample.points.size();
  out.make_room(4 * kMaxVarint + left * kMaxPoint);
  out.varint(number);
  out.byte(sample.time.base == CaptureTime::Base::Utc ? 1 : 0);
  out.varint(zigzag(sample.time.ms));
  out.varint(sample.points.size());
  for (const Point& point : sample.points) {
    const uint32_t expected = number + 1;
    number = names.number_of(point.attribute);
    put_point(out, point, number, expected, --left);
  }
}

// After the first mistake everything read is empty, and ok() stays false.
class In {
 public:
  explicit In(std::span<const std::byte> in) : at_(in.data()), end_(in.data() + in.size()) {}

  bool ok() const { return ok_; }
  std::span<const std::byte> left() const { return {at_, end_}; }
  uint8_t byte() {
    if (at_ == end_) return fail();
    return static_cast<uint8_t>(*at_++);
  }
  double number() {
    double v = 0;
    if (end_ - at_ < static_cast<ptrdiff_t>(sizeof v)) return fail();
    std::memcpy(&v, at_, sizeof v);
    at_ += sizeof v;
    return v;
  }
  std::string_view text() {
    const uint64_t size = varint();
    if (size > static_cast<size_t>(end_ - at_)) return {reinterpret_cast<const char*>(at_), fail()};
    return {reinterpret_cast<const char*>(std::exchange(at_, at_ + size)), size};
  }
  uint64_t varint() {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const uint8_t b = byte();
      v |= static_cast<uint64_t>(b & 0x7F) << shift;
      if (b < 0x80) return v;
    }
    return fail();
  }

 private:
  uint8_t fail() {
    ok_ = false;
    at_ = end_;
    return 0;
  }
  const std::byte* at_;
  const std::byte* end_;
  bool ok_ = true;
};

Value take_value(In& in, uint8_t kind) {
  switch (kind) {
    case kFalse:
    case kTrue:
      return kind == kTrue;
    case kString:
      return std::string(in.text());
    default:
      return in.number();
  }
}

// False, or in.ok() is false, where the record makes no sense.
bool take_points(In& in, const StageNames& names, uint64_t number, std::vector<Point>& ret) {
  for (Point& point : ret) {
    const uint8_t kind = in.byte();
    ++number;
    if (kind == kNumber) [[likely]] {
      point.value = in.number();
    } else {
      if ((kind & kNamed) != 0) number = in.varint();
      if ((kind & ~kNamed) > kString) return false;
      point.value = take_value(in, kind & ~kNamed);
    }
    point.attribute = names.at(number);
    if (point.attribute == nullptr) return false;
  }
  return true;
}

}  // namespace

// ---- Names.

void StageNames::add(Symbol name) {
  numbers_.emplace(name, static_cast<uint32_t>(names_.size()));
  names_.push_back(name);
}

uint32_t StageNames::look_up(Symbol name) {
  const auto known = numbers_.find(name);
  const auto number =
      known != numbers_.end() ? known->second : static_cast<uint32_t>(names_.size());
  if (known == numbers_.end()) add(name);
  next_ = number + 1;
  return number;
}

void StageNames::shrink(size_t size) {
  for (; names_.size() > size; names_.pop_back()) numbers_.erase(names_.back());
}

// ---- Encoding.

std::span<const std::byte> encode_samples(std::span<const DeviceSample> samples, int64_t first,
                                          StageNames& names, std::vector<std::byte>& buffer) {
  const size_t known = names.size();
  uint32_t names_at = 0;
  Out out(buffer);
  out.make_room(sizeof names_at + 2 * kMaxVarint);
  out.raw(&names_at, sizeof names_at);
  out.varint(static_cast<uint64_t>(first));
  out.varint(samples.size());
  for (const DeviceSample& sample : samples) put_sample(out, sample, names);
  names_at = static_cast<uint32_t>(out.size());
  for (size_t i = known; i < names.size(); ++i) {
    const std::string& name = *names.at(i);
    out.make_room(kMaxVarint + name.size());
    out.varint(name.size());
    out.raw(name.data(), name.size());
  }
  std::memcpy(buffer.data(), &names_at, sizeof names_at);
  return std::span(buffer).first(out.size());
}

// ---- Decoding.

StagedReader::StagedReader(std::span<const std::byte> record) {
  uint32_t names_at = 0;
  ok_ = record.size() >= sizeof names_at;
  if (ok_) std::memcpy(&names_at, record.data(), sizeof names_at);
  ok_ = ok_ && names_at >= sizeof names_at && names_at <= record.size();
  if (!ok_) return;
  names_ = record.subspan(names_at);
  In in(record.first(names_at).subspan(sizeof names_at));
  const uint64_t first = in.varint();
  count_ = in.varint();
  samples_ = in.left();
  first_ = static_cast<int64_t>(first);
  // Numbers begin with 1, and there are no more of them than bytes, so they do not wrap round.
  ok_ = in.ok() && first > 0 && first <= kMaxNumber && count_ <= samples_.size() / kLeastSample;
}

void StagedReader::learn(StageNames& names, SymbolTable& symbols) const {
  In in(names_);
  while (ok_ && !in.left().empty()) {
    const std::string_view name = in.text();
    if (!in.ok()) return;
    names.add(symbols.intern(name));
  }
}

bool StagedReader::next(const StageNames& names, Staged* ret) {
  if (!ok_ || read_ == count_) return false;
  In in(samples_);
  const uint64_t device = in.varint();
  const uint8_t utc = in.byte();
  const uint64_t ms = in.varint();
  const uint64_t points = in.varint();
  ret->number = first_ + static_cast<int64_t>(read_++);
  ret->sample.device = names.at(device);
  ret->sample.time = {unzigzag(ms),
                      utc == 0 ? CaptureTime::Base::ThisBoot : CaptureTime::Base::Utc};
  // Each point takes a byte at least, so that this is the room that the record speaks for.
  ok_ = in.ok() && utc <= 1 && ret->sample.device != nullptr && points <= in.left().size();
  ret->sample.points.resize(ok_ ? points : 0);
  ok_ = ok_ && take_points(in, names, device, ret->sample.points) && in.ok();
  samples_ = in.left();
  return ok_;
}

}  // namespace fieldpost
