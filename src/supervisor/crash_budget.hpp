// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

#include "base/clock.hpp"

namespace fieldpost {

// Decides when a host that keeps dying is restarted with long pauses only. Time is a parameter,
// never read here.
class CrashBudget {
 public:
  // Allows `limit` exits in any window of length `window`.
  CrashBudget(size_t limit, std::chrono::seconds window) : limit_(limit), window_(window) {}

  // Records an exit; true if it overdraws the budget. Calls must not go back in time.
  bool spend(BootTime now) {
    while (!exits_.empty() && now - exits_.front() >= window_) exits_.pop_front();
    exits_.push_back(now);
    if (exits_.size() <= limit_) return false;
    exits_.pop_front();  // the newest ones suffice to stay overdrawn
    return true;
  }

 private:
  size_t limit_;
  std::chrono::seconds window_;
  std::deque<BootTime> exits_;
};

}  // namespace fieldpost
