// SPDX-License-Identifier: Apache-2.0
#include "supervisor/custom_copies.hpp"

#include <algorithm>

#include "config/copies.hpp"
#include "model/state_meta.hpp"

namespace fieldpost {

void CustomCopies::configure(const Config& config) {
  entries_ = config.publishes;
  names_.clear();
  for (const DeviceConfig& device : config.devices) names_[device.id] = device.name;
  known_.clear();
}

const std::vector<Symbol>& CustomCopies::copies_of(Symbol device, Symbol attribute) {
  auto& attributes = known_[device];
  const auto known = attributes.find(attribute);
  if (known != attributes.end()) return known->second;
  std::vector<Symbol> copies;
  const auto name = names_.find(*device);
  for (const PublishConfig& entry : entries_) {
    if (name == names_.end() || !selects(entry, name->second, *attribute)) continue;
    copies.push_back(symbols_->intern(copy_of(entry, name->second, *attribute)));
  }
  return attributes.emplace(attribute, std::move(copies)).first->second;
}

void CustomCopies::add_to(std::vector<DeviceSample>& samples) {
  if (entries_.empty()) return;
  std::vector<DeviceSample> added;
  for (const DeviceSample& sample : samples) {
    const auto first = static_cast<ptrdiff_t>(added.size());  // of this sample
    for (const Point& point : sample.points) {
      if (state_meta::is_meta(point.attribute)) continue;
      for (const Symbol copy : copies_of(sample.device, point.attribute)) {
        auto it = std::find_if(added.begin() + first, added.end(),
                               [&](const DeviceSample& a) { return a.device == copy; });
        if (it == added.end()) it = added.insert(it, {.device = copy, .time = sample.time});
        it->points.push_back(point);
      }
    }
  }
  std::ranges::move(added, std::back_inserter(samples));
}

}  // namespace fieldpost
