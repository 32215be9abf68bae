// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <unordered_map>

#include "model/reading.hpp"

namespace fieldpost {

// Gives each sample of a device a millisecond of its own: the platform knows a state by device and
// millisecond, and so does the outbox. One that is taken goes to the next free millisecond. Main
// thread.
class UniqueTimes {
 public:
  // Of boot times only: what a program stamped itself stays as it is.
  void settle(DeviceSample& sample) {
    if (sample.time.base != CaptureTime::Base::ThisBoot) return;
    Recent& recent = devices_[sample.device];
    while (std::ranges::find(recent.times, sample.time.ms) != recent.times.end()) ++sample.time.ms;
    recent.times[recent.next++ % recent.times.size()] = sample.time.ms;
    newest_ms_ = std::max(newest_ms_, sample.time.ms);
  }
  int64_t newest_ms() const { return newest_ms_; }  // boot time of the latest sample

 private:
  // Plugins of one device are not further apart than that; one that is, collides once in a
  // thousand times, and the platform merges the two.
  struct Recent {
    std::array<int64_t, 16> times{};
    size_t next = 0;
  };
  std::unordered_map<Symbol, Recent> devices_;
  int64_t newest_ms_ = 0;
};

}  // namespace fieldpost
