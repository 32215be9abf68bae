// SPDX-License-Identifier: Apache-2.0
//
// Bytes of messages (message.cpp). A type lists its fields once, in `fields(io, object)`; Writer
// and Reader walk the same list, so the two directions cannot disagree.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/clock.hpp"
#include "model/value.hpp"

namespace fieldpost::wire {

static_assert(std::endian::native == std::endian::little, "fixed fields are copied as they are");

template <class E>
concept Enumeration = std::is_enum_v<E> && sizeof(E) == 1;

// Appends to a vector, which is longer than what was written until the writer is gone.
class Writer {
 public:
  explicit Writer(std::vector<std::byte>& out) : out_(&out), end_(out.size()) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { out_->resize(end_); }

  void operator()(bool v) { byte(v ? 1 : 0); }
  void operator()(uint32_t v) { varint(v); }
  void operator()(uint64_t v) { varint(v); }
  void operator()(double v) { raw(&v, sizeof v); }
  void operator()(int64_t v) { raw(&v, sizeof v); }
  void operator()(nanoseconds v) { raw(&v, sizeof v); }
  void operator()(BootTime v) { (*this)(v.time_since_epoch()); }
  void operator()(const std::string& v) {
    varint(v.size());
    raw(v.data(), v.size());
  }
  template <Enumeration E>
  void enumeration(E v, E /*first*/, E /*last*/) {
    byte(static_cast<uint8_t>(v));
  }
  void operator()(const Value& v) {
    byte(static_cast<uint8_t>(type_of(v)));
    std::visit([this](const auto& held) { (*this)(held); }, v);
  }
  template <class T>
  void operator()(const std::optional<T>& v) {
    (*this)(v.has_value());
    if (v) (*this)(*v);
  }
  template <class T>
  void list(const std::vector<T>& v, size_t /*limit*/) {
    varint(v.size());
    for (const T& item : v) (*this)(item);
  }
  void map(const std::map<std::string, Value>& v, size_t /*limit*/) {
    varint(v.size());
    for (const auto& [key, value] : v) {
      (*this)(key);
      (*this)(value);
    }
  }
  template <class T>
  requires std::is_class_v<T>
  void operator()(const T& v) { fields(*this, v); }

 private:
  void byte(uint8_t v) { raw(&v, 1); }
  void raw(const void* data, size_t size) {
    if (out_->size() - end_ < size) out_->resize(std::max(2 * out_->size(), end_ + size + 240));
    if (size > 0) std::memcpy(out_->data() + end_, data, size);
    end_ += size;
  }
  void varint(uint64_t v) {
    for (; v >= 0x80; v >>= 7) byte(static_cast<uint8_t>(v | 0x80));
    byte(static_cast<uint8_t>(v));
  }
  std::vector<std::byte>* out_;
  size_t end_;  // of what was written
};

// After the first mistake everything read is empty, and ok() stays false.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> in) : in_(in) {}

  bool ok() const { return ok_; }
  // Nothing wrong and nothing left over.
  bool done() const { return ok_ && in_.empty(); }

  void operator()(bool& v) { v = byte(1) == 1; }
  void operator()(uint32_t& v) { v = static_cast<uint32_t>(varint(UINT32_MAX)); }
  void operator()(uint64_t& v) { v = varint(UINT64_MAX); }
  void operator()(double& v) { raw(&v, sizeof v); }
  void operator()(int64_t& v) { raw(&v, sizeof v); }
  void operator()(nanoseconds& v) { raw(&v, sizeof v); }
  void operator()(BootTime& v) {
    nanoseconds since{};
    (*this)(since);
    v = BootTime(since);
  }
  void operator()(std::string& v) {
    v.resize(static_cast<size_t>(varint(in_.size())));
    raw(v.data(), v.size());
  }
  template <Enumeration E>
  void enumeration(E& v, E first, E last) {
    const uint8_t value = byte(static_cast<uint8_t>(last));
    ok_ = ok_ && value >= static_cast<uint8_t>(first);
    v = ok_ ? static_cast<E>(value) : first;
  }
  void operator()(Value& v) {
    switch (byte(static_cast<uint8_t>(DataType::String))) {
      case static_cast<uint8_t>(DataType::Number):
        return alternative<double>(v);
      case static_cast<uint8_t>(DataType::Boolean):
        return alternative<bool>(v);
      case static_cast<uint8_t>(DataType::String):
        return alternative<std::string>(v);
      default:
        ok_ = false;
    }
  }
  template <class T>
  void operator()(std::optional<T>& v) {
    bool there = false;
    (*this)(there);
    v.reset();
    if (there) (*this)(v.emplace());
  }
  template <class T>
  void list(std::vector<T>& v, size_t limit) {
    const size_t n = count(limit);
    v.clear();
    v.reserve(n);
    for (size_t i = 0; i < n && ok_; ++i) (*this)(v.emplace_back());
  }
  void map(std::map<std::string, Value>& v, size_t limit) {
    const size_t n = count(limit);
    v.clear();
    for (size_t i = 0; i < n && ok_; ++i) {
      std::string key;
      (*this)(key);
      ok_ = ok_ && (v.empty() || v.rbegin()->first < key);  // sorted, hence unique
      (*this)(v[key]);
    }
  }
  template <class T>
  requires std::is_class_v<T>
  void operator()(T& v) { fields(*this, v); }

 private:
  // An item takes a byte at least: a count beyond what is left is a lie, and allocates nothing.
  size_t count(size_t limit) { return static_cast<size_t>(varint(std::min(limit, in_.size()))); }
  template <class T>
  void alternative(Value& v) {
    T held{};
    (*this)(held);
    v = std::move(held);
    ok_ = ok_ && is_legal(v);
  }
  uint8_t byte(uint8_t max) {
    uint8_t v = 0;
    raw(&v, 1);
    ok_ = ok_ && v <= max;
    return ok_ ? v : 0;
  }
  void raw(void* data, size_t size) {
    if (!ok_ || in_.size() < size) {
      ok_ = false;
      return;
    }
    if (size > 0) std::memcpy(data, in_.data(), size);
    in_ = in_.subspan(size);
  }
  uint64_t varint(uint64_t max) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const uint8_t b = byte(0xFF);
      if (shift == 63 && b > 1) ok_ = false;  // the tenth byte holds one bit
      v |= static_cast<uint64_t>(b & 0x7F) << shift;
      if (b < 0x80) {
        if (b == 0 && shift > 0) ok_ = false;  // a longer form than encoding makes
        break;
      }
    }
    if (v > max) ok_ = false;
    return ok_ ? v : 0;
  }
  std::span<const std::byte> in_;
  bool ok_ = true;
};

}  // namespace fieldpost::wire
