// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/clock.hpp"

namespace fieldpost {

// How long a backlog takes at the pace of the last half minute: what was delivered, less what came
// in. Pure; one thread.
class DrainRate {
 public:
  static constexpr std::chrono::seconds kWindow{30};
  static constexpr std::chrono::seconds kLeast{3};  // of it, before anything is said

  // Both counts since the start; once a second.
  void note(BootTime now, int64_t delivered, int64_t appended) {
    marks_.push_back({now, delivered, appended});
    while (now - marks_.front().at > kWindow) marks_.pop_front();
  }

  // Until `backlog` readings are delivered; 0 if there are none. Nothing while no more is
  // delivered than comes in, or nobody can tell yet.
  std::optional<std::chrono::nanoseconds> time_left(int64_t backlog) const {
    if (backlog <= 0) return std::chrono::nanoseconds(0);
    if (marks_.empty()) return std::nullopt;
    const Mark& first = marks_.front();
    const Mark& last = marks_.back();
    const int64_t gain = (last.delivered - first.delivered) - (last.appended - first.appended);
    if (last.at - first.at < kLeast || gain <= 0) return std::nullopt;
    const double windows = static_cast<double>(backlog) / static_cast<double>(gain);
    const auto window = static_cast<double>((last.at - first.at).count());
    constexpr double kMost = 1e18;  // 30 years, in ns
    return std::chrono::nanoseconds(static_cast<int64_t>(std::min(kMost, windows * window)));
  }

 private:
  struct Mark {
    BootTime at;
    int64_t delivered, appended;
  };
  std::deque<Mark> marks_;
};

}  // namespace fieldpost
