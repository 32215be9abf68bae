// SPDX-License-Identifier: Apache-2.0
#include "supervisor/state_notes.hpp"

#include <string>

#include "model/state_meta.hpp"

namespace fieldpost {

void StateNotes::add_to(std::vector<DeviceSample>& samples, const Instance& instance) {
  for (DeviceSample& sample : samples) {
    sample.points.push_back(
        {symbols_->intern(state_meta::kSequence), static_cast<double>(next(sample))});
    for (const Instance::Attribute& a : instance.attributes()) {
      // Of samples that came together one may be older than what is known by now.
      const bool is_read = a.latest_time != BootTime{} && in_ms(a.latest_time) <= sample.time.ms;
      if (!is_read || a.latest.quality == Quality::Good || a.symbol == nullptr) continue;
      if (instance.devices()[a.device].id != sample.device) continue;
      const auto name = [&](std::string_view prefix) {
        return symbols_->intern(std::string(prefix) + *a.symbol);
      };
      sample.points.push_back({name(state_meta::kQuality), std::string(name_of(a.latest.quality))});
      if (a.good_time == BootTime{}) continue;
      const auto age = static_cast<double>(sample.time.ms - in_ms(a.good_time));
      sample.points.push_back({name(state_meta::kGoodAge), age});
    }
  }
}

int64_t StateNotes::next(const DeviceSample& sample) {
  Last& last = devices_[sample.device];
  if (last.ms != sample.time.ms) ++last.sequence;
  last.ms = sample.time.ms;
  return last.sequence;
}

}  // namespace fieldpost
