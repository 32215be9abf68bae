// SPDX-License-Identifier: Apache-2.0
//
// The nouns of the way up: what a plugin took (Sample), and what is kept and published of it
// (DeviceSample, State).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "model/symbol.hpp"
#include "model/value.hpp"

namespace fieldpost {

// The values of FP_GOOD …: do not change.
enum class Quality : uint8_t { Good = 0, Stale = 1, CommError = 2, OutOfRange = 3, Stuck = 4 };
std::string_view name_of(
    Quality quality);  // "good", "stale", "comm-error", "out-of-range", "stuck"

// One attribute of an instance at one instant.
struct Reading {
  uint32_t attribute = 0;  // index into the instance's declaration
  Quality quality = Quality::Good;
  Value value;
  std::string detail;  // why it is not good; empty if it is
  bool operator==(const Reading&) const = default;
};

// Readings that one plugin took at one instant.
struct Sample {
  BootTime time{};
  std::vector<Reading> readings;
  bool operator==(const Sample&) const = default;
};

// A good reading on its way up, named as upstream names it.
struct Point {
  Symbol attribute = nullptr;
  Value value;
};

// When something was captured: milliseconds on the boot clock of this boot, or, for what a local
// program stamped itself, of UTC.
struct CaptureTime {
  enum class Base : uint8_t { ThisBoot = 0, Utc = 1 };
  int64_t ms = 0;
  Base base = Base::ThisBoot;
};

// Points of one device at one instant: what the outbox takes.
struct DeviceSample {
  Symbol device = nullptr;  // Losant id
  CaptureTime time;
  std::vector<Point> points;
};

// Data of one device at one millisecond UTC: what is published.
struct State {
  int64_t time_ms = 0;
  std::vector<Point> points;
  bool estimated = false;  // nobody vouched for the clock that the time is from
};

}  // namespace fieldpost
