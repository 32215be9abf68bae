// SPDX-License-Identifier: Apache-2.0
//
// What is published, in Losant's form, appended by hand: a general JSON library costs 16 times as
// much for each reading, and this is the path every reading takes.
//
//   {"time":1700000000123,"data":{"temperature":21.5,"running":true,"mode":"auto"}}
//   {"time":1700000000123,"data":{"temperature":21.5},"meta":{"time_estimated":true}}
//   {"time":1700000000123,"data":{"count":4},"meta":{"sequence":7,
//    "quality":{"temperature":"comm-error"},"good_age":{"temperature":61000}}}
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model/reading.hpp"

namespace fieldpost::payload {

// The number such that reading it back gives the same double, bit for bit. Must be finite.
void append_number(std::string& out, double value);

// In quotes, escaped as RFC 8259 asks. `text` is UTF-8.
void append_text(std::string& out, std::string_view text);

// {"time":…,"data":{…}}, and a meta where the time is `estimated` or points are one's
// (model/state_meta.hpp). The others are legal (is_legal(), is_attribute_name()), at least one, and
// no attribute twice.
void append_state(std::string& out, int64_t time_ms, std::span<const Point> points,
                  bool estimated = false);

// What add_member() takes: `,"flowVersion":"…"}`.
std::string flow_version_member(std::string_view version);
// Puts a member into the state that ends `out`, before its closing brace.
void add_member(std::string& out, std::string_view member);

// Bytes that one point takes at most, with the comma before it.
size_t max_size(const Point& point);
// Bytes of a state beside its points, at most.
inline constexpr size_t kStateOverhead = 80;

}  // namespace fieldpost::payload
