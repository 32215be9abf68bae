// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.hpp"

namespace fieldpost {

// When which unit is polled. Time is a parameter, never read here.
//
// A unit is due at the start, and from then on, as long as it answers, in fixed slots of the boot
// clock: phase, phase + interval, phase + 2·interval …, so that nothing drifts, and instances with
// other phases do not all fire in one instant; or where the wall clock shows whole multiples of the
// interval. The first slot is half an interval after the start
// at least; a slot that has passed when the call before ends is skipped. A unit that does not
// answer is probed after pauses that grow from max(interval, 1 s) by doubling to 60 s (or the
// interval, if that is longer), whatever its neighbours do.
class Schedule {
 public:
  static constexpr nanoseconds kFirstPause = std::chrono::seconds(1);
  static constexpr nanoseconds kLongestPause = std::chrono::seconds(60);
  static constexpr nanoseconds kSamePhase = std::chrono::milliseconds(1);

  struct Due {
    uint32_t unit = 0;
    BootTime when;
  };

  // An interval of 0: nothing is ever due. The phase is below the interval.
  Schedule(size_t units, nanoseconds interval, BootTime start, nanoseconds phase)
      : interval_(interval), phase_(phase), units_(units, Unit{start, nanoseconds{}}) {}

  // Of an instance: always the same one, somewhere in the interval.
  static nanoseconds phase_of(std::string_view name, nanoseconds interval) {
    if (interval.count() <= 0) return {};
    uint64_t hash = 14695981039346656037ULL;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    hash ^= hash >> 32;  // names that differ in their last letter differ little before
    return nanoseconds(static_cast<int64_t>(hash % static_cast<uint64_t>(interval.count())));
  }

  // Where the wall clock, which is ahead of the boot clock by `offset`, shows whole multiples.
  static nanoseconds phase_aligned(nanoseconds offset, nanoseconds interval) {
    if (interval.count() <= 0) return {};
    const nanoseconds behind = offset % interval;
    return behind.count() > 0 ? interval - behind : -behind;
  }

  // The slots are others from now on: those that units wait for move to the nearest of the new ones
  // that is still to come. One that differs by less than a millisecond is the same.
  void move_to(nanoseconds phase, BootTime now) {
    const nanoseconds by = std::chrono::abs(phase - phase_);
    if (std::min(by, interval_ - by) < kSamePhase) return;
    phase_ = phase;
    for (Unit& unit : units_) {
      if (unit.pause.count() > 0 || unit.due <= now) continue;
      unit.due = slot_after(std::max(now, unit.due - interval_ / 2));
    }
  }

  // The unit that has waited longest, or will be due first.
  std::optional<Due> next() const {
    if (interval_.count() <= 0 || units_.empty()) return std::nullopt;
    const auto first = std::ranges::min_element(units_, {}, &Unit::due);
    return Due{static_cast<uint32_t>(first - units_.begin()), first->due};
  }

  // The unit was polled until `now` and answered. Returns how many slots it missed meanwhile.
  uint64_t answered(uint32_t unit, BootTime now) {
    Unit& u = units_[unit];
    const bool was_paused = u.pause.count() > 0;
    const BootTime earliest = was_paused ? now : std::max(now, u.due + interval_ / 2);
    const BootTime due = slot_after(earliest);
    const int64_t missed = (due - u.due - interval_ / 2) / interval_;
    u = {due, nanoseconds{}};
    return was_paused ? 0 : static_cast<uint64_t>(std::max<int64_t>(0, missed));
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
  BootTime slot_after(BootTime time) const {
    const nanoseconds since = time.time_since_epoch() - phase_;
    const int64_t slot = since.count() < 0 ? 0 : since / interval_ + 1;
    return BootTime(phase_ + slot * interval_);
  }
  nanoseconds interval_;
  nanoseconds phase_;  // of the slots, on the boot clock
  std::vector<Unit> units_;
};

}  // namespace fieldpost
