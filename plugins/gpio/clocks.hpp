// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <time.h>

#include "edges.hpp"

namespace gpio {

inline int64_t now_of(clockid_t clock) {
  timespec t{};
  (void)clock_gettime(clock, &t);  // cannot fail with these clocks
  return t.tv_sec * int64_t{1'000'000'000} + t.tv_nsec;
}

inline int64_t monotonic_now() { return now_of(CLOCK_MONOTONIC); }

// Read again while something came between the readings.
inline Clocks read_clocks() {
  for (int tries = 5;; --tries) {
    const int64_t before = now_of(CLOCK_MONOTONIC);
    const int64_t boottime = now_of(CLOCK_BOOTTIME);
    const int64_t after = now_of(CLOCK_MONOTONIC);
    if (after - before <= 2 * Clocks::kAccuracy || tries == 1) {
      return {before + (after - before) / 2, boottime};
    }
  }
}

}  // namespace gpio
