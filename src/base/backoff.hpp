// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace fieldpost {

// Exponential back-off with full jitter: the n-th pause is uniform in [first, min(cap, first·2ⁿ)],
// so a fleet that lost its broker at the same moment does not return at the same moment, and no
// pause is shorter than `first`.
class Backoff {
 public:
  using Duration = std::chrono::milliseconds;

  Backoff(Duration first, Duration cap, uint64_t seed = std::random_device{}())
      : first_(first), cap_(cap), ceiling_(first), random_(seed) {}

  Duration next() {
    std::uniform_int_distribution<Duration::rep> pause(first_.count(), ceiling_.count());
    const Duration chosen(pause(random_));
    ceiling_ = std::min(cap_, ceiling_ * 2);
    return chosen;
  }
  void reset() { ceiling_ = first_; }

 private:
  Duration first_, cap_, ceiling_;
  std::minstd_rand random_;
};

}  // namespace fieldpost
