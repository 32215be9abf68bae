// SPDX-License-Identifier: Apache-2.0
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <numeric>
#include <vector>

namespace fieldpost {
namespace {

using std::chrono::nanoseconds;

struct Unit {
  std::string_view name;
  double factor;
};

constexpr Unit kDurations[] = {{"us", 1e3},   {"ms", 1e6},   {"s", 1e9},
                               {"min", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
constexpr Unit kSizes[] = {{"B", 1},    {"kB", 1e3},   {"KB", 1e3},      {"MB", 1e6},
                           {"GB", 1e9}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}};

// A number and the unit that follows it; the factor is 0 if either is wrong.
std::pair<double, double> split(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !std::isfinite(number) || number < 0) return {0, 0};
  std::string_view suffix(end, static_cast<size_t>(text.data() + text.size() - end));
  if (suffix.starts_with(' ')) suffix.remove_prefix(1);
  for (const Unit& unit : units) {
    if (unit.name == suffix) return {number, unit.factor};
  }
  return {0, 0};
}

// Length of the well-formed UTF-8 sequence at the start of `s`, or 0 (RFC 3629 §4).
size_t utf8_length(std::string_view s) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t n = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || s.size() < n) return 0;
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool bad = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) ||
                   (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F);
  return bad ? 0 : n;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

Result<nanoseconds> parse_duration(std::string_view text) {
  const auto [number, factor] = split(text, kDurations);
  const double ns = number * factor;
  if (factor == 0 || ns > 864e15) {
    return Error{Errc::Invalid, R"(a duration such as "250ms", "5s", "10min", "1h" or "30d")"};
  }
  return nanoseconds(std::llround(ns));
}

std::string format_duration(nanoseconds duration) {
  const int64_t ns = duration.count();
  if (ns == 0) return "0s";
  constexpr std::pair<int64_t, std::string_view> kUnits[] = {
      {86'400'000'000'000, "d"}, {3'600'000'000'000, "h"}, {60'000'000'000, "min"},
      {1'000'000'000, "s"},      {1'000'000, "ms"},        {1'000, "us"}};
  for (const auto& [size, name] : kUnits) {
    if (ns % size == 0) return std::to_string(ns / size) + std::string(name);
  }
  return format_number(static_cast<double>(ns) / 1e3) + "us";
}

std::string about(nanoseconds duration) {
  const double s = static_cast<double>(duration.count()) / 1e9;
  std::array<char, 64> out{};
  const auto print = [&](const char* format, auto... values) {
    return std::string(
        out.data(), static_cast<size_t>(std::snprintf(out.data(), out.size(), format, values...)));
  };
  const int64_t whole = static_cast<int64_t>(s);
  if (s < 0.9995) return print("%.0f ms", s * 1e3);
  if (s < 60) return print("%.1f s", s);
  if (s < 3600) {
    return print("%ld min %ld s", static_cast<long>(whole / 60), static_cast<long>(whole % 60));
  }
  if (s < 86400) {
    return print("%ld h %ld min", static_cast<long>(whole / 3600),
                 static_cast<long>(whole % 3600 / 60));
  }
  return print("%ld d %ld h", static_cast<long>(whole / 86400),
               static_cast<long>(whole % 86400 / 3600));
}

Result<int64_t> parse_size(std::string_view text) {
  const auto [number, factor] = split(text, kSizes);
  const double bytes = number * factor;
  if (factor == 0 || bytes > 9e15 || bytes != std::floor(bytes)) {
    return Error{Errc::Invalid, R"(a size such as "64KiB", "512MB" or "2GB")"};
  }
  return static_cast<int64_t>(bytes);
}

std::string format_size(int64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  constexpr std::string_view kNames[] = {"kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes) / 1e3;
  size_t name = 0;
  for (; value >= 999.5 && name + 1 < std::size(kNames); ++name) value /= 1e3;
  std::array<char, 32> out{};
  const int n = std::snprintf(out.data(), out.size(), "%.1f ", value);
  return std::string(out.data(), static_cast<size_t>(n)) + std::string(kNames[name]);
}

Result<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
    return Error{Errc::Invalid, "a number"};
  }
  return value;
}

std::string format_utc(int64_t ms) {
  int64_t seconds = ms / 1000;
  int64_t rest = ms % 1000;
  if (rest < 0) rest += 1000, --seconds;
  const std::time_t time = seconds;
  std::tm tm{};
  ::gmtime_r(&time, &tm);
  std::array<char, 64> out{};
  const size_t n = std::strftime(out.data(), out.size(), "%Y-%m-%dT%H:%M:%S", &tm);
  (void)std::snprintf(out.data() + n, out.size() - n, ".%03dZ", static_cast<int>(rest));
  return out.data();
}

std::string format_number(double value) {
  std::array<char, 32> out{};
  // 1e21 is where the plain form stops being readable; JSON and people take the exponent there.
  const bool plain = std::fabs(value) < 1e21 && (value == 0 || std::fabs(value) >= 1e-7);
  std::array<char, 400> wide{};
  const auto r =
      plain ? std::to_chars(wide.data(), wide.data() + wide.size(), value, std::chars_format::fixed)
            : std::to_chars(out.data(), out.data() + out.size(), value);
  return plain ? std::string(wide.data(), r.ptr) : std::string(out.data(), r.ptr);
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates) {
  if (name.size() > 255) return "";  // no slip of a hand, and the distance is quadratic
  std::string_view best;
  size_t best_distance = name.size() / 3 + 2;  // one slip in three letters, and one more
  for (const std::string_view candidate : candidates) {
    const size_t distance = edit_distance(name, candidate);
    if (distance < best_distance && distance < std::max(name.size(), candidate.size())) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t n = utf8_length(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

std::string printable(std::string_view text, size_t limit) {
  std::string out;
  out.reserve(std::min(text.size(), limit));
  while (!text.empty()) {
    if (out.size() >= limit) return out + "…";
    const size_t n = utf8_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (n == 0 || first < 0x20 || first == 0x7F) {
      std::array<char, 8> hex{};
      (void)std::snprintf(hex.data(), hex.size(), "\\x%02x", first);
      out += hex.data();
      text.remove_prefix(1);
    } else {
      out += text.substr(0, n);
      text.remove_prefix(n);
    }
  }
  return out;
}

}  // namespace fieldpost
