// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "base/clock.hpp"
#include "model/message.hpp"

namespace fieldpost {

// Counts how well polls keep to their slots. Time is a parameter, never read here.
class PunctualityMeter {
 public:
  static constexpr nanoseconds kEvery = std::chrono::seconds(60);

  explicit PunctualityMeter(BootTime start) : told_(start) {}

  // A poll that answered: it was due at `slot`, and ran from `began` to `ended`.
  void add(BootTime slot, BootTime began, BootTime ended, uint64_t skipped) {
    const nanoseconds late = std::max(began - slot, nanoseconds{});
    ++sum_.polls;
    sum_.skipped += static_cast<uint32_t>(skipped);
    sum_.late += late;
    sum_.worst = std::max(sum_.worst, late);
    sum_.longest = std::max(sum_.longest, ended - began);
  }

  // What is to be told, if it is time to.
  std::optional<message::Punctuality> take(BootTime now) {
    if (sum_.polls == 0 || now - told_ < kEvery) return std::nullopt;
    sum_.late /= sum_.polls;
    told_ = now;
    return std::exchange(sum_, {});
  }

 private:
  message::Punctuality sum_;  // `late` is the sum until it is told
  BootTime told_;
};

}  // namespace fieldpost
