// SPDX-License-Identifier: Apache-2.0
#include "uplink/payload.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <variant>

#include "model/state_meta.hpp"

namespace fieldpost::payload {
namespace {

constexpr size_t kNumberSize = 32;  // of the longest number, "-1.7976931348623157e+308", and room

// Writes `text` and returns what follows it.
char* put(char* p, std::string_view text) { return std::ranges::copy(text, p).out; }

// "00" to "99": two digits for each division.
constexpr auto kPairs = [] {
  std::array<char, 200> pairs{};
  for (size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

// How a byte of text is written: 0 as it is, 'u' as \u00XX, else backslash and that letter.
constexpr auto kEscapes = [] {
  std::array<char, 256> escapes{};
  for (size_t i = 0; i < 0x20; ++i) escapes[i] = 'u';
  escapes['"'] = '"';
  escapes['\\'] = '\\';
  escapes['\b'] = 'b';
  escapes['\f'] = 'f';
  escapes['\n'] = 'n';
  escapes['\r'] = 'r';
  escapes['\t'] = 't';
  return escapes;
}();
char escape_of(char c) { return kEscapes[static_cast<unsigned char>(c)]; }

char* write_integer(char* p, uint64_t value) {
  std::array<char, 20> digits;  // NOLINT(cppcoreguidelines-pro-type-member-init): written first
  size_t at = digits.size();
  while (value >= 100) {
    at -= 2;
    std::memcpy(&digits[at], &kPairs[2 * (value % 100)], 2);
    value /= 100;
  }
  if (value >= 10) {
    at -= 2;
    std::memcpy(&digits[at], &kPairs[2 * value], 2);
  } else {
    digits[--at] = static_cast<char>('0' + value);
  }
  std::memcpy(p, &digits[at], digits.size() - at);
  return p + (digits.size() - at);
}

// `scaled` / 10^places, in full.
char* write_decimal(char* p, uint64_t scaled, unsigned places) {
  constexpr std::array<uint64_t, 5> kPowers = {1, 10, 100, 1'000, 10'000};
  p = write_integer(p, scaled / kPowers[places]);
  uint64_t fraction = scaled % kPowers[places];
  *p = '.';
  for (unsigned i = places; i > 0; --i) {
    p[i] = static_cast<char>('0' + fraction % 10);
    fraction /= 10;
  }
  return p + places + 1;
}

char* write_number(char* p, double value) {
  // What sensors send has a few decimals. r/10^k is rounded once, exactly as a reader rounds the
  // text "r·10^-k", so equality here means that the text reads back as the same double.
  constexpr std::array<double, 5> kPowers = {1, 10, 100, 1'000, 10'000};
  constexpr double kLimit = 1e15;  // well below 2^53: r is exact
  const double magnitude = std::fabs(value);
  if (magnitude < kLimit / 10'000) {
    for (unsigned places = 0; places < kPowers.size(); ++places) {
      // Rounding may be off by one at the edge: the comparison finds that out, and is all it costs.
      // NOLINTNEXTLINE(bugprone-incorrect-roundings)
      const auto scaled = static_cast<int64_t>(magnitude * kPowers[places] + 0.5);
      if (static_cast<double>(scaled) / kPowers[places] != magnitude) continue;
      if (std::signbit(value)) *p++ = '-';
      if (places > 0) return write_decimal(p, static_cast<uint64_t>(scaled), places);
      p = write_integer(p, static_cast<uint64_t>(scaled));
      // "-0" is an integer to most readers, and loses its sign.
      if (scaled == 0 && std::signbit(value)) {
        p = put(p, ".0");
      }
      return p;
    }
  }
  return std::to_chars(p, p + kNumberSize, value).ptr;
}

char* write_text(char* p, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  *p++ = '"';
  for (const char c : text) {
    const char escape = escape_of(c);
    if (escape == 0) {
      *p++ = c;
      continue;
    }
    *p++ = '\\';
    *p++ = escape;
    if (escape != 'u') continue;
    const auto byte = static_cast<unsigned char>(c);
    const char code[4] = {'0', '0', kHex[byte >> 4], kHex[byte & 15]};
    std::memcpy(p, code, 4);
    p += 4;
  }
  *p++ = '"';
  return p;
}

size_t text_size(std::string_view text) {
  size_t size = text.size() + 2;
  for (const char c : text) {
    if (const char escape = escape_of(c); escape != 0) size += escape == 'u' ? 5 : 1;
  }
  return size;
}

char* write_value(char* p, const Value& value) {
  if (const double* number = std::get_if<double>(&value)) return write_number(p, *number);
  if (const bool* flag = std::get_if<bool>(&value)) {
    return put(p, *flag ? "true" : "false");
  }
  return write_text(p, std::get<std::string>(value));
}

// Lets `write` fill at most `bound` bytes behind what `out` holds. What resize() writes there is
// written over: the memset is a small part of the cost.
template <class Write>
void append_with(std::string& out, size_t bound, Write write) {
  const size_t before = out.size();
  out.resize(before + bound);
  char* end = write(out.data() + before);
  out.resize(static_cast<size_t>(end - out.data()));
}

// "group":{"attribute":value,…} of those points whose names begin with `prefix`.
char* write_group(char* p, std::string_view group, std::string_view prefix,
                  std::span<const Point> points) {
  bool any = false;
  for (const Point& point : points) {
    if (!point.attribute->starts_with(prefix)) continue;
    p = any ? put(p, ",\"") : put(put(put(p, "\""), group), "\":{\"");
    p = put(put(p, std::string_view(*point.attribute).substr(prefix.size())), "\":");
    p = write_value(p, point.value);
    any = true;
  }
  return any ? put(p, "},") : p;
}

char* write_meta(char* p, std::span<const Point> points, bool estimated) {
  p = put(p, R"(,"meta":{)");
  for (const Point& point : points) {
    if (*point.attribute != state_meta::kSequence) continue;
    p = put(write_value(put(p, R"("sequence":)"), point.value), ",");
  }
  p = write_group(p, "quality", state_meta::kQuality, points);
  p = write_group(p, "good_age", state_meta::kGoodAge, points);
  p = write_group(p, "remark", state_meta::kRemark, points);
  if (estimated) p = put(p, R"("time_estimated":true,)");
  return put(p - 1, "}");  // over the last comma
}

}  // namespace

void append_number(std::string& out, double value) {
  append_with(out, kNumberSize, [&](char* p) { return write_number(p, value); });
}

void append_text(std::string& out, std::string_view text) {
  append_with(out, text_size(text), [&](char* p) { return write_text(p, text); });
}

std::string flow_version_member(std::string_view version) {
  std::string member = R"(,"flowVersion":)";
  append_text(member, version);
  return member + '}';
}

void add_member(std::string& out, std::string_view member) {
  if (member.empty()) return;
  out.pop_back();
  out += member;
}

size_t max_size(const Point& point) {
  const std::string* text = std::get_if<std::string>(&point.value);
  return point.attribute->size() + 4 + (text == nullptr ? kNumberSize : text_size(*text));
}

void append_state(std::string& out, int64_t time_ms, std::span<const Point> points,
                  bool estimated) {
  size_t bound = kStateOverhead;
  for (const Point& point : points) bound += max_size(point);
  append_with(out, bound, [&](char* p) {
    p = put(p, R"({"time":)");
    p = std::to_chars(p, p + kStateOverhead, time_ms).ptr;
    p = put(p, R"(,"data":{)");
    bool has_meta = estimated;
    for (const Point& point : points) {
      if (state_meta::is_meta(point.attribute)) [[unlikely]] {
        has_meta = true;
        continue;
      }
      *p++ = '"';
      p = put(put(p, *point.attribute), "\":");
      p = write_value(p, point.value);
      *p++ = ',';
    }
    p = put(p - 1, "}");  // over the last comma
    if (has_meta) p = write_meta(p, points, estimated);
    return put(p, "}");
  });
}

}  // namespace fieldpost::payload
