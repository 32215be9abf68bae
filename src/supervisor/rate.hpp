// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "base/clock.hpp"

namespace fieldpost {

// A token bucket: `per_second` in the long run, `burst` at once. Time is a parameter.
class Rate {
 public:
  Rate(double per_second, double burst) : per_second_(per_second), burst_(burst), left_(burst) {}

  // Takes `amount`; false, and nothing taken, if that is more than is left.
  bool take(double amount, BootTime now) {
    const double passed = static_cast<double>((now - last_).count()) / 1e9;
    left_ = std::min(burst_, left_ + std::max(passed, 0.0) * per_second_);
    last_ = now;
    if (amount > left_) return false;
    left_ -= amount;
    return true;
  }

 private:
  double per_second_, burst_, left_;
  BootTime last_{};
};

}  // namespace fieldpost
