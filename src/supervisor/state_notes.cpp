// SPDX-License-Identifier: Apache-2.0
#include "supervisor/state_notes.hpp"

#include <string>

#include "model/state_meta.hpp"

namespace fieldpost {

void StateNotes::add_to(std::vector<DeviceSample>& samples, const Instance& instance) {
  for (DeviceSample& sample : samples) {
    if (devices_[sample.device].whole_ms == sample.time.ms) continue;
    add_sequence(sample);
    add_qualities(sample, instance);
  }
}

void StateNotes::add_to(std::vector<DeviceSample>& samples,
                        std::span<const Instance* const> instances) {
  for (DeviceSample& sample : samples) {
    Last& last = devices_[sample.device];
    if (last.ms == sample.time.ms) continue;  // no name is to be in a state twice
    last.whole_ms = sample.time.ms;
    add_sequence(sample);
    for (const Instance* instance : instances) add_qualities(sample, *instance);
  }
}

void StateNotes::add_sequence(DeviceSample& sample) {
  sample.points.push_back(
      {symbols_->intern(state_meta::kSequence), static_cast<double>(next(sample))});
}

void StateNotes::add_qualities(DeviceSample& sample, const Instance& instance) {
  const BootTime at(std::chrono::milliseconds(sample.time.ms));
  for (const Instance::Attribute& a : instance.attributes()) {
    // Of samples that came together one may be older than what is known by now.
    const bool is_read = a.latest_time != BootTime{} && in_ms(a.latest_time) <= sample.time.ms;
    if (!is_read || a.symbol == nullptr) continue;
    if (instance.devices()[a.device].id != sample.device) continue;
    const Quality quality = instance.verdict(a, at).quality;
    if (quality == Quality::Good && a.remark.empty()) continue;
    const auto name = [&](std::string_view prefix) {
      return symbols_->intern(std::string(prefix) + *a.symbol);
    };
    if (quality == Quality::Good) {
      sample.points.push_back({name(state_meta::kRemark), a.remark});
      continue;
    }
    sample.points.push_back({name(state_meta::kQuality), std::string(name_of(quality))});
    if (a.good_time == BootTime{}) continue;
    const auto age = static_cast<double>(sample.time.ms - in_ms(a.good_time));
    sample.points.push_back({name(state_meta::kGoodAge), age});
  }
}

int64_t StateNotes::next(const DeviceSample& sample) {
  Last& last = devices_[sample.device];
  if (last.ms != sample.time.ms) ++last.sequence;
  last.ms = sample.time.ms;
  return last.sequence;
}

}  // namespace fieldpost
