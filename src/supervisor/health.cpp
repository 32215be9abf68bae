// SPDX-License-Identifier: Apache-2.0
#include "supervisor/health.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "config/own_names.hpp"
#include "supervisor/discretion.hpp"

namespace fieldpost {
namespace {

double seconds(nanoseconds duration) { return static_cast<double>(duration.count()) / 1e9; }

// Whole numbers: nobody wants 86400.123456789 of them.
Value whole(double number) { return std::floor(number); }

}  // namespace

void Health::configure(const Config& config) {
  config_ = config.health;
  std::vector<Device> before = std::exchange(devices_, {});
  for (size_t i = 0; i < config.devices.size(); ++i) {
    Device device{.id = symbols_->intern(config.devices[i].id)};
    const auto it = std::ranges::find(before, device.id, &Device::id);
    if (it != before.end()) device = std::move(*it);
    device.attributes.clear();
    for (const AttributeSpec& spec : health_attributes(config, i)) {
      device.attributes.push_back(symbols_->intern(spec.name));
    }
    devices_.push_back(std::move(device));
  }
}

void Health::note_error(std::string_view what) {
  if (!what.empty()) last_error_ = without_secrets(what);
}

void Health::note_troubles(std::vector<std::string> troubles) {
  for (const std::string& trouble : troubles) {
    if (std::ranges::find(troubles_, trouble) == troubles_.end()) note_error(trouble);
  }
  troubles_ = std::move(troubles);
}

void Health::ask(BootTime now) {
  for (Device& device : devices_) {
    if (!device.asked) device.asked = now;
  }
}

// Once, when it has lasted; of the gateway's own sensors this is all that is said.
void Health::note_error_of(Device& device, BootTime now) {
  if (device.condition.error.empty()) {
    device.error_since.reset();
    device.error_noted = false;
    return;
  }
  if (!device.error_since) device.error_since = now;
  if (device.error_noted || now - *device.error_since < kSettle) return;
  device.error_noted = true;
  note_error(device.condition.error);
}

// What is worth a report of its own when it is another. Numbers that always change are not in it.
std::string Health::changing_part(size_t index, const GatewayFacts& gateway) const {
  if (index == 0) {
    return gateway.clock + '\n' + std::to_string(gateway.plugins_bad) + '\n' + last_error_;
  }
  const Condition& condition = devices_[index].condition;
  if (condition.state == Condition::State::Unknown) return "";
  return std::string(condition.state == Condition::State::Good ? "good\n" : "bad\n") +
         condition.error;
}

void Health::look(Device& device, const std::string& now_is, bool online, BootTime now) const {
  const double period = online ? seconds(config_.interval) : seconds(kAway);
  device.changes = std::min(kChanges, device.changes + seconds(now - device.counted) / period);
  device.counted = now;
  if (now_is == device.told) {
    device.other_since.reset();
  } else if (!device.other_since) {
    device.other_since = now;
  }
}

std::optional<Health::Wish> Health::wish_of(size_t index, bool online, BootTime now) const {
  const Device& device = devices_[index];
  if (device.asked) return Wish{index, true, *device.asked};
  if (device.other_since && now - *device.other_since >= kSettle && device.changes >= 1) {
    return Wish{index, true, *device.other_since};
  }
  if (online && !device.told.empty() && now >= device.due) return Wish{index, false, device.due};
  return std::nullopt;
}

std::vector<DeviceSample> Health::report(const GatewayFacts& gateway,
                                         std::span<const Condition> conditions, const Reach& reach,
                                         BootTime now) {
  for (size_t i = 0; i < devices_.size(); ++i) {
    Device& device = devices_[i];
    if (device.attributes.empty()) continue;
    const bool known = conditions[i].state != Condition::State::Unknown;
    if (known) device.condition = conditions[i];
    note_error_of(device, now);
  }
  std::vector<Wish> wishes;
  for (size_t i = 0; i < devices_.size(); ++i) {
    Device& device = devices_[i];
    if (device.attributes.empty()) continue;
    const std::string now_is = changing_part(i, gateway);
    if (now_is.empty()) continue;  // there is nothing to say of it yet
    const bool online = reach.online && !reach.aside.contains(*device.id);
    look(device, now_is, online, now);
    if (const auto wish = wish_of(i, online, now)) wishes.push_back(*wish);
  }
  // Changes first, then who has waited longest.
  std::ranges::stable_sort(wishes, {}, [](const Wish& w) { return std::pair(!w.change, w.since); });
  std::vector<DeviceSample> samples;
  for (const Wish& wish : wishes) {
    if (!reports_.take(1, now)) break;
    Device& device = devices_[wish.device];
    if (wish.change && !device.asked) device.changes -= 1;
    device.told = changing_part(wish.device, gateway);
    device.other_since.reset();
    device.asked.reset();
    device.due = now + config_.interval;
    samples.push_back(sample_of(wish.device, gateway, now));
  }
  return samples;
}

DeviceSample Health::sample_of(size_t index, const GatewayFacts& g, BootTime now) const {
  const Device& device = devices_[index];
  DeviceSample sample{.device = device.id, .time = {in_ms(now), CaptureTime::Base::ThisBoot}};
  const auto add = [&](auto attribute, Value value) {
    sample.points.push_back({device.attributes[static_cast<size_t>(attribute)], std::move(value)});
  };
  if (index != 0) {
    add(PeripheralHealth::Online, device.condition.state == Condition::State::Good);
    add(PeripheralHealth::Error, without_secrets(device.condition.error));
    return sample;
  }
  add(GatewayHealth::Version, g.version);
  add(GatewayHealth::Uptime, whole(seconds(g.uptime)));
  add(GatewayHealth::OutboxAge, whole(seconds(g.outbox_age)));
  add(GatewayHealth::OutboxBytes, static_cast<double>(g.outbox_bytes));
  add(GatewayHealth::Lost, static_cast<double>(g.lost));
  if (g.disk_day) add(GatewayHealth::DiskDay, static_cast<double>(*g.disk_day));
  add(GatewayHealth::Clock, g.clock);
  add(GatewayHealth::PluginsBad, static_cast<double>(g.plugins_bad));
  add(GatewayHealth::LastError, last_error_);
  return sample;
}

}  // namespace fieldpost
