// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace fieldpost {

// Exponential back-off with jitter: the n-th pause is uniform in [first, min(cap, first·2ⁿ)], so a
// fleet that lost its broker at the same moment does not return at the same moment, and no
// pause is shorter than `first`.
class Backoff {
 public:
  using Duration = std::chrono::milliseconds;

  Backoff(Duration first, Duration cap, uint64_t seed = std::random_device{}())
      : first_(first), cap_(cap), random_(seed) {}

  Duration next() {
    ceiling_ = std::max(first_, std::min(cap_, ceiling_ * 2));
    std::uniform_int_distribution<Duration::rep> pause(first_.count(), ceiling_.count());
    return Duration(pause(random_));
  }
  void reset() { ceiling_ = first_; }

 private:
  Duration first_, cap_, ceiling_ = first_;
  std::minstd_rand random_;
};

}  // namespace fieldpost
