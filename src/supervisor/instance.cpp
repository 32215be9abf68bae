// SPDX-License-Identifier: Apache-2.0
#include "supervisor/instance.hpp"

#include <algorithm>

namespace fieldpost {
namespace {

// How far stamps may run ahead of the clock, so that a burst of readings gets one each. Without a
// bound a plugin that goes wild for a minute would have what it reads afterwards stamped with hours
// to come.
constexpr auto kMaxAhead = std::chrono::seconds(3);

}  // namespace

Instance::Instance(const PluginConfig& config, const std::vector<DeviceConfig>& devices,
                   SymbolTable& symbols)
    : config_(&config), symbols_(&symbols) {
  rebind(config, devices);
}

void Instance::rebind(const PluginConfig& config, const std::vector<DeviceConfig>& devices) {
  config_ = &config;
  devices_.clear();
  for (const DeviceConfig& device : devices) {
    devices_.push_back({device.name, symbols_->intern(device.id)});
  }
  // Of the attributes that were there before the latest readings are kept. Units of one model have
  // attributes of one name.
  std::map<std::pair<std::string, std::string>, Attribute> before;
  for (Attribute& a : attributes_) {
    before.emplace(std::pair(units_[a.unit].name, a.spec.name), std::move(a));
  }
  attributes_.clear();
  units_.resize(config.unit_names.size());
  for (size_t i = 0; i < units_.size(); ++i) units_[i].name = config.unit_names[i];
  for (const Declaration::Attribute& declared : config.declaration.attributes) {
    Attribute a;
    const auto it = before.find({units_[declared.unit].name, declared.spec.name});
    if (it != before.end()) a = it->second;
    a.spec = declared.spec;
    a.unit = declared.unit;
    a.device = config.section_device[declared.section];
    a.symbol = symbols_->intern(declared.spec.name);
    attributes_.push_back(std::move(a));
  }
}

const Instance::Device& Instance::device_of(const Declaration::Command& command) const {
  return devices_[config_->section_device[command.section]];
}

Result<> Instance::vet(const Declaration& declared) const {
  if (declared == config_->declaration) return {};
  return Error{Errc::Invalid,
               config_->socket.empty()
                   ? "other things than when the configuration was read; `fieldpost reload` reads "
                     "it again"
                   : "other things than the agent's own copy of the plugin: is its unit of another "
                     "version?"};
}

void Instance::on_unit_state(const message::UnitState& state, BootTime now) {
  if (state.unit >= units_.size()) return;
  Unit& unit = units_[state.unit];
  if (!unit.known || unit.good != state.good) unit.since = now;
  unit.known = true;
  unit.good = state.good;
  unit.answered |= state.good;
  unit.reason = state.reason;
}

void Instance::on_host_down() {
  for (Unit& unit : units_) unit.known = unit.read = false;
  for (Attribute& attribute : attributes_) attribute.fresh = false;
}

bool Instance::accept(const Reading& reading, BootTime time) {
  ++counts_.readings;
  if (reading.attribute >= attributes_.size()) return ++counts_.refused, false;
  Attribute& attribute = attributes_[reading.attribute];
  const bool good = reading.quality == Quality::Good;
  if (good && type_of(reading.value) != attribute.spec.type) {
    return ++counts_.refused, false;
  }
  if (!good && (!attribute.fresh || attribute.latest.quality == Quality::Good)) {
    attribute.bad_since = time;
  }
  attribute.latest = reading;
  attribute.latest_time = time;
  attribute.fresh = true;
  if (!good) return ++counts_.bad, false;
  attribute.good_time = time;
  units_[attribute.unit].good_time = time;
  units_[attribute.unit].read = true;
  return true;
}

std::vector<DeviceSample> Instance::on_samples(message::Samples&& samples, BootTime now) {
  const int64_t latest_ms = in_ms(now + kMaxAhead);
  std::vector<DeviceSample> out;
  for (Sample& sample : samples.samples) {
    ++counts_.samples;
    const size_t first = out.size();
    for (Reading& reading : sample.readings) {
      if (!accept(reading, sample.time)) continue;
      Attribute& attribute = attributes_[reading.attribute];
      const int64_t ms = std::max(in_ms(sample.time), attribute.last_ms + 1);
      if (ms > latest_ms) {
        ++counts_.refused;
        continue;
      }
      attribute.last_ms = ms;
      const Symbol device = devices_[attribute.device].id;
      // Usually one device and one stamp; a sample of many devices has a few entries to look at.
      auto it = std::find_if(
          out.begin() + static_cast<ptrdiff_t>(first), out.end(),
          [&](const DeviceSample& d) { return d.device == device && d.time.ms == ms; });
      if (it == out.end()) {
        out.push_back({device, {ms, CaptureTime::Base::ThisBoot}, {}});
        it = out.end() - 1;
      }
      it->points.push_back({attribute.symbol, std::move(reading.value)});
    }
  }
  return out;
}

}  // namespace fieldpost
