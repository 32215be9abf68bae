// SPDX-License-Identifier: Apache-2.0
#include "supervisor/instance.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"

namespace fieldpost {
namespace {

// How far stamps may run ahead of the clock, so that a burst of readings gets one each. Without a
// bound a plugin that goes wild for a minute would have what it reads afterwards stamped with hours
// to come.
constexpr auto kMaxAhead = std::chrono::seconds(3);

// For what is stale: a host that is replaced is away for about so long.
constexpr auto kLeastInterval = std::chrono::seconds(1);

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
    a.rule = report_rule(declared, config.instance);
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

void Instance::note_good(Attribute& attribute, BootTime time) {
  if (attribute.good_time != BootTime{} && time > attribute.good_time) {
    attribute.gap_before = std::exchange(attribute.gap, time - attribute.good_time);
  }
  attribute.good_time = time;
  units_[attribute.unit].good_time = time;
  units_[attribute.unit].read = true;
}

void Instance::on_held(const message::Held& held) {
  for (const uint32_t index : held.polled) {
    if (index < attributes_.size()) attributes_[index].polled = true;
  }
  for (const uint32_t index : held.unpolled) {
    if (index < attributes_.size()) attributes_[index].polled = false;
  }
  for (const uint32_t index : held.unchanged) {
    if (index >= attributes_.size()) continue;
    Attribute& attribute = attributes_[index];
    if (attribute.latest.quality != Quality::Good || attribute.latest_time == BootTime{}) continue;
    ++counts_.held;
    note_good(attribute, std::max(attribute.good_time, held.time));
    attribute.latest_time = attribute.good_time;
  }
}

void Instance::on_remark(const message::Remark& remark) {
  if (remark.attribute < attributes_.size()) attributes_[remark.attribute].remark = remark.text;
}

Instance::Verdict Instance::verdict(const Attribute& a, BootTime now) const {
  if (a.latest.quality != Quality::Good) return {a.latest.quality, a.latest.detail};
  // A bus may be slower than it is asked to be; one long gap was an outage.
  const nanoseconds pace = std::max(
      {config_->instance.interval, std::min(a.gap, a.gap_before), nanoseconds(kLeastInterval)});
  // What does not come with polls stands as long as somebody is there who would say otherwise.
  const Unit& unit = units_[a.unit];
  std::optional<BootTime> since = a.good_time;
  if (!a.polled) {
    since = unit.known && !unit.good ? std::optional(unit.since) : std::nullopt;
    if (down_since_) since = down_since_;
  }
  const nanoseconds silence = since ? now - *since : nanoseconds();
  // Units of one bus wait for each other: for a silent one up to the deadline.
  const nanoseconds turn = units_.size() > 1 ? config_->instance.deadline : nanoseconds();
  if (a.rule.stale_after > 0 && silence > std::max(pace * int64_t{a.rule.stale_after}, turn)) {
    const std::string silent = a.polled ? "no good reading for " : "nobody watches it for ";
    return {Quality::Stale,
            silent + format_duration(std::chrono::floor<std::chrono::seconds>(silence))};
  }
  // Of what is polled the host judges this, by the readings' own times.
  if (!a.polled && a.rule.expect_change.count() > 0 && now - a.changed >= a.rule.expect_change) {
    return {Quality::Stuck, "the same for " + format_duration(a.rule.expect_change) + " or longer"};
  }
  return {};
}

void Instance::on_host_down(BootTime now) {
  if (!down_since_) down_since_ = now;
  for (Unit& unit : units_) unit.known = unit.read = false;
  for (Attribute& attribute : attributes_) {
    attribute.fresh = false;
    attribute.remark.clear();
  }
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
  const bool same = good && attribute.latest_time != BootTime{} &&
                    attribute.latest.quality == Quality::Good &&
                    attribute.latest.value == reading.value;
  if (good && !same) attribute.changed = time;
  attribute.latest = reading;
  attribute.latest_time = time;
  attribute.fresh = true;
  if (!good) return ++counts_.bad, false;
  note_good(attribute, time);
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
