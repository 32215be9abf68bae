// SPDX-License-Identifier: Apache-2.0
#include "store/stage_thin.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "store/thin.hpp"

namespace fieldpost {
namespace {

using Base = CaptureTime::Base;
using Devices = std::map<std::pair<Symbol, Base>, std::vector<State>>;

int64_t readings_of(const Devices& devices) {
  int64_t readings = 0;
  for (const auto& [device, states] : devices) {
    for (const State& state : states) readings += static_cast<int64_t>(state.points.size());
  }
  return readings;
}

int64_t bytes_of(const Devices& devices) {
  int64_t bytes = 0;
  for (const auto& [device, states] : devices) {
    for (const State& state : states) bytes += sample_bytes(state.points);
  }
  return bytes;
}

// All that is not wanted is dropped.
template <class Wanted>
void filter(Devices& devices, Toll& toll, Wanted wanted) {
  for (auto& [key, states] : devices) {
    const Symbol device = key.first;
    for (State& state : states) {
      std::erase_if(state.points, [&](const Point& point) {
        if (wanted(key, state, point)) return false;
        toll.add_dropped(device, point.attribute, 1);
        return true;
      });
    }
    std::erase_if(states, [](const State& state) { return state.points.empty(); });
  }
}

void thin_once(Devices& devices, const StageBounds& bounds, const KeepRules& rules, Toll& toll) {
  for (auto& [key, states] : devices) {
    const Symbol device = key.first;
    const auto keep = [&](Symbol attribute) { return keep_of(rules, *device, *attribute); };
    const int64_t offset = key.second == Base::Utc ? 0 : bounds.utc_offset_ms;
    Thinned thinned = thin(std::move(states), keep, offset);
    for (const auto& [attribute, gone] : thinned.gone) toll.add_thinned(device, attribute, gone);
    states = std::move(thinned.states);
  }
}

std::vector<DeviceSample> to_samples(Devices devices, int64_t utc_offset_ms) {
  std::vector<DeviceSample> samples;
  for (auto& [key, states] : devices) {
    for (State& state : states) {
      samples.push_back({key.first, {state.time_ms, key.second}, std::move(state.points)});
    }
  }
  std::ranges::stable_sort(samples, {}, [&](const DeviceSample& sample) {
    return sample.time.ms + (sample.time.base == Base::Utc ? 0 : utc_offset_ms);
  });
  return samples;
}

void drop_oldest(std::vector<DeviceSample>& samples, int64_t limit, Toll& toll) {
  int64_t bytes = 0;
  for (const DeviceSample& sample : samples) bytes += sample_bytes(sample.points);
  auto end = samples.begin();
  for (; end != samples.end() && bytes > limit; ++end) {
    bytes -= sample_bytes(end->points);
    for (const Point& p : end->points) toll.add_dropped(end->device, p.attribute, 1);
  }
  samples.erase(samples.begin(), end);
}

}  // namespace

std::vector<DeviceSample> thin_samples(std::vector<Staged> samples, const StageBounds& bounds,
                                       const KeepRules& rules, Toll& toll) {
  Devices devices;
  for (Staged& staged : samples) {
    DeviceSample& sample = staged.sample;
    devices[{sample.device, sample.time.base}].push_back(
        {sample.time.ms, std::move(sample.points)});
  }
  filter(devices, toll, [&](const auto& key, const State& state, const Point&) {
    const int64_t offset = key.second == Base::Utc ? 0 : bounds.utc_offset_ms;
    return state.time_ms + offset >= bounds.oldest_utc_ms;
  });
  for (int64_t before = 0; bytes_of(devices) > bounds.bytes;) {
    before = readings_of(devices);
    thin_once(devices, bounds, rules, toll);
    if ((before - readings_of(devices)) * 8 < before) break;  // as in round_after()
  }
  if (bytes_of(devices) > bounds.bytes) {
    filter(devices, toll, [&](const auto& key, const State&, const Point& point) {
      return keep_of(rules, *key.first, *point.attribute) == Keep::All;
    });
  }
  std::vector<DeviceSample> left = to_samples(std::move(devices), bounds.utc_offset_ms);
  drop_oldest(left, bounds.bytes, toll);
  return left;
}

}  // namespace fieldpost
