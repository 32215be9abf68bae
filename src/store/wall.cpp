// SPDX-License-Identifier: Apache-2.0
#include "store/wall.hpp"

#include <algorithm>
#include <iterator>

namespace fieldpost {
namespace {

bool have_common_attribute(const State& a, const State& b) {
  return std::ranges::any_of(a.points, [&](const Point& p) {
    return std::ranges::any_of(b.points,
                               [&](const Point& q) { return p.attribute == q.attribute; });
  });
}

}  // namespace

void to_wall_time(std::vector<State>& states, const WallView& wall) {
  bool ascending = true;
  for (size_t i = 0; i < states.size(); ++i) {
    const Stamp stamp = wall.stamp(states[i].time_ms);
    states[i].time_ms = stamp.utc_ms;
    states[i].estimated = stamp.estimated;
    if (i > 0 && states[i].time_ms <= states[i - 1].time_ms) ascending = false;
  }
  if (ascending) return;

  const auto time_of = [](const State& s) { return s.time_ms; };
  std::ranges::stable_sort(states, {}, time_of);
  std::vector<State> unique;
  for (State& state : states) {
    if (!unique.empty() && state.time_ms <= unique.back().time_ms) {
      if (state.time_ms == unique.back().time_ms && !have_common_attribute(unique.back(), state)) {
        std::ranges::move(state.points, std::back_inserter(unique.back().points));
        unique.back().estimated |= state.estimated;
        continue;
      }
      state.time_ms = unique.back().time_ms + 1;
    }
    unique.push_back(std::move(state));
  }
  states = std::move(unique);
}

WaitingReadings waiting_of(const Staged& staged, const WallView& wall) {
  WaitingReadings readings{.device = staged.sample.device};
  readings.states.push_back({.time_ms = staged.sample.time.ms, .points = staged.sample.points});
  if (staged.sample.time.base == CaptureTime::Base::ThisBoot) {
    readings.timed = !wall.empty();
    if (readings.timed) to_wall_time(readings.states, wall);
  }
  return readings;
}

}  // namespace fieldpost
