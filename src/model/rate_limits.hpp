// SPDX-License-Identifier: Apache-2.0
//
// How many messages the broker bears, and what that means for the age of live readings.
#pragma once

#include <chrono>
#include <span>

#include "base/clock.hpp"

namespace fieldpost {

struct RateLimits {
  // Messages in any window; 0: no limit. A connection counts what it sends and what it gets.
  int per_topic = 0;
  int per_connection = 0;
  nanoseconds window = std::chrono::seconds(15);
  bool any() const { return per_topic > 0 || per_connection > 0; }
  bool operator==(const RateLimits&) const = default;
};

// Losant throws out who exceeds 30 and 300 in 15 s. Two and twenty are left for what is not
// counted here: subscriptions, and pings.
inline constexpr RateLimits kLosantLimits{.per_topic = 28, .per_connection = 280};

// What live readings may take of either limit, in percent: the backlog and answers have a part too.
inline constexpr int kLivePercent = 70;

// How long live readings wait for others, so that all devices together stay within their part:
// `wanted`, or more where that would be too many messages. `intervals` has the time between two
// samples of each device; 0: as often as may be.
nanoseconds stretched_age(nanoseconds wanted, const RateLimits& limits,
                          std::span<const nanoseconds> intervals);
// The same for `devices` that all send as often as may be.
nanoseconds stretched_age(nanoseconds wanted, const RateLimits& limits, int64_t devices);

}  // namespace fieldpost
