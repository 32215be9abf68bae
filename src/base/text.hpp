// SPDX-License-Identifier: Apache-2.0
//
// Text that people write and read: durations, sizes, near misses.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fieldpost {

// "250ms", "5s", "1.5h": a number and one of us, ms, s, min, h, d. Errors: Invalid, with the form
// that is expected. At most 10,000 days.
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);
// The shortest exact form: "250ms", "90s", "2h".
std::string format_duration(std::chrono::nanoseconds duration);
// For people, rounded: "3 d 4 h", "12 min", "5.2 s".
std::string about(std::chrono::nanoseconds duration);

// Milliseconds since 1970 as RFC 3339 in UTC: "2026-05-04T10:00:00.250Z".
std::string format_utc(int64_t ms);

// "512MB", "64KiB": a whole number and one of B, kB, KB, MB, GB, KiB, MiB, GiB. Errors: Invalid.
Result<int64_t> parse_size(std::string_view text);
// For people: "12.4 MB".
std::string format_size(int64_t bytes);

// A finite number, in full. Errors: Invalid.
Result<double> parse_number(std::string_view text);
// The shortest text that reads back as the same double: "0.1", "100000", never "1e+05".
std::string format_number(double value);

// The candidate that `name` was most likely meant to be, or "" if none is near.
std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates);

// Each place where `from` stands, from left to right; what was put in is not looked at again.
void replace_all(std::string& text, std::string_view from, std::string_view to);

// Control characters and bytes that are not UTF-8 become \xNN, and anything beyond `limit` bytes
// becomes "…": what strangers send never reaches a terminal or a log as it is.
std::string printable(std::string_view text, size_t limit = 1000);

bool is_utf8(std::string_view text);

}  // namespace fieldpost
