// SPDX-License-Identifier: Apache-2.0
#include "model/rate_limits.hpp"

#include <algorithm>
#include <vector>

namespace fieldpost {
namespace {

// The time that one message takes up of a limit.
nanoseconds share(const RateLimits& limits, int limit) {
  return limit == 0 ? nanoseconds(0) : limits.window * 100 / (limit * kLivePercent);
}

}  // namespace

nanoseconds stretched_age(nanoseconds wanted, const RateLimits& limits,
                          std::span<const nanoseconds> intervals) {
  const nanoseconds age = std::max(wanted, share(limits, limits.per_topic));
  if (limits.per_connection == 0) return age;
  // Those that sample more rarely than that take their part, the others share what is left.
  std::vector<nanoseconds> sorted(intervals.begin(), intervals.end());
  std::ranges::sort(sorted, std::greater<>());
  const auto one = static_cast<double>(share(limits, limits.per_connection).count());
  double left = 1;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const double even = one * static_cast<double>(sorted.size() - i) / left;
    const auto interval = static_cast<double>(sorted[i].count());
    if (interval <= std::max(even, static_cast<double>(age.count()))) {
      return std::max(age, nanoseconds(static_cast<int64_t>(even)));
    }
    left -= one / interval;
  }
  return age;
}

nanoseconds stretched_age(nanoseconds wanted, const RateLimits& limits, int64_t devices) {
  return std::max(
      {wanted, share(limits, limits.per_topic), share(limits, limits.per_connection) * devices});
}

}  // namespace fieldpost
