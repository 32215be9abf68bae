// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.hpp"

namespace fieldpost {

// When which unit is polled. Time is a parameter, never read here.
//
// A unit that answers is due at start, start + interval, start + 2·interval …: fixed slots, so
// that nothing drifts; a slot that has passed when the call before ends is skipped. A unit that
// does not answer is probed after pauses that grow from max(interval, 1 s) by doubling to 60 s (or
// the interval, if that is longer), whatever its neighbours do.
class Schedule {
 public:
  static constexpr nanoseconds kFirstPause = std::chrono::seconds(1);
  static constexpr nanoseconds kLongestPause = std::chrono::seconds(60);

  struct Due {
    uint32_t unit = 0;
    BootTime when;
  };

  // An interval of 0: nothing is ever due.
  Schedule(size_t units, nanoseconds interval, BootTime start)
      : interval_(interval), start_(start), units_(units, Unit{start, nanoseconds{}}) {}

  // The unit that has waited longest, or will be due first.
  std::optional<Due> next() const {
    if (interval_.count() <= 0 || units_.empty()) return std::nullopt;
    const auto first = std::ranges::min_element(units_, {}, &Unit::due);
    return Due{static_cast<uint32_t>(first - units_.begin()), first->due};
  }

  // The unit was polled until `now` and answered. Returns how many slots it missed meanwhile.
  uint64_t answered(uint32_t unit, BootTime now) {
    Unit& u = units_[unit];
    const int64_t slot = (now - start_) / interval_ + 1;
    const int64_t previous = (u.due - start_) / interval_;
    u.due = start_ + slot * interval_;
    const bool was_paused = u.pause.count() > 0;
    u.pause = nanoseconds{};
    return was_paused ? 0 : static_cast<uint64_t>(slot - previous - 1);
  }

  // The unit was polled until `now` and did not answer.
  void silent(uint32_t unit, BootTime now) {
    Unit& u = units_[unit];
    const nanoseconds first = std::max(interval_, kFirstPause);
    u.pause = std::clamp(u.pause * 2, first, std::max(interval_, kLongestPause));
    u.due = now + u.pause;
  }

 private:
  struct Unit {
    BootTime due;
    nanoseconds pause;  // the last one; 0 while it answers
  };
  nanoseconds interval_;
  BootTime start_;
  std::vector<Unit> units_;
};

}  // namespace fieldpost
