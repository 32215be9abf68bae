// SPDX-License-Identifier: Apache-2.0
//
// The clocks. Waiting and samples use CLOCK_BOOTTIME, which no NTP step moves and which runs on
// while the machine sleeps; the wall clock is looked at only to say what a boot time means to
// people (model/time.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace fieldpost {

using std::chrono::nanoseconds;

// Nanoseconds since this boot.
struct BootClock {
  using duration = nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  // NOLINTNEXTLINE(readability-identifier-naming): the standard's name
  static constexpr bool is_steady = true;
  static time_point now() noexcept;
};
using BootTime = BootClock::time_point;

inline int64_t in_ms(nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}
inline int64_t in_ms(BootTime time) { return in_ms(time.time_since_epoch()); }

// Wall time minus boot time, now, to the microsecond (both clocks are read until no scheduling
// gap lies between).
nanoseconds wall_offset();
// What the system's clock calls a boot time now, ms since 1970; it may not have been set yet.
int64_t utc_ms(BootTime time);

// The kernel's id of this boot, 36 characters. Errors: Io (no /proc).
Result<std::string> boot_id();

}  // namespace fieldpost
