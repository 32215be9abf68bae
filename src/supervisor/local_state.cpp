// SPDX-License-Identifier: Apache-2.0
#include "supervisor/local_state.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "config/own_names.hpp"
#include "model/clock_epochs.hpp"
#include "model/names.hpp"
#include "model/value_json.hpp"

namespace fieldpost {
namespace {

constexpr int64_t kMaxAheadMs = 3'000;  // of stamps that were moved to be unique: see Instance

Error invalid(std::string text) { return {Errc::Invalid, std::move(text)}; }

Result<Value> to_value(const std::string& name, const Json& json) {
  auto value = value_from(json);
  if (!value) {
    return invalid("attribute '" + name + "': expected a number, true, false or text, got " +
                   printable(dump_json(json), 60));
  }
  if (!is_legal(*value)) {
    return invalid("attribute '" + name + "': text is at most " + std::to_string(kMaxText) +
                   " bytes of UTF-8, numbers are finite");
  }
  return *std::move(value);
}

// Losant ignores what is older than 30 days or more than a day ahead, without a word.
Result<CaptureTime> time_of(const Json& request, BootTime now, int64_t now_utc_ms) {
  const auto given = request.find("time");
  if (given == request.end() || given->is_null()) {
    return CaptureTime{in_ms(now), CaptureTime::Base::ThisBoot};
  }
  if (!given->is_number_integer()) return invalid("\"time\": expected milliseconds since 1970");
  const auto ms = given->get<int64_t>();
  if (sendable(ms, now_utc_ms) != Sendable::Yes) {
    return invalid(
        "\"time\" (milliseconds since 1970): older than 30 days or more than a day ahead; Losant "
        "would ignore it");
  }
  return CaptureTime{ms, CaptureTime::Base::Utc};
}

}  // namespace

void LocalState::configure(const Config& config) {
  std::map<std::string, Device, std::less<>> devices;
  for (const DeviceConfig& d : config.devices) {
    Device device{.id = symbols_->intern(d.id)};
    if (const auto it = devices_.find(d.name); it != devices_.end()) {
      device.last_ms = std::move(it->second.last_ms);
    }
    devices.emplace(d.name, std::move(device));
  }
  for (const PluginConfig& plugin : config.plugins) {
    for (size_t i = 0; i < plugin.declaration.attributes.size(); ++i) {
      devices[config.devices[plugin.attribute_device[i]].name].attributes.insert(
          plugin.declaration.attributes[i].spec.name);
    }
  }
  devices_ = std::move(devices);
}

Result<LocalState::Device*> LocalState::find(const Json& request) {
  const auto name = request.find("device");
  if (name == request.end() || !name->is_string()) {
    return invalid("\"device\": expected a device's name or id");
  }
  const auto text = name->get<std::string>();
  std::vector<std::string_view> names;
  for (auto& [key, device] : devices_) {
    if (key == text || *device.id == text) return &device;
    names.push_back(key);
  }
  const std::string_view near = nearest(text, names);
  return invalid("no device '" + printable(text, 60) + "' in the configuration" +
                 (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?"));
}

Result<std::vector<Point>> LocalState::points_of(Device& device, const Json& data) {
  std::vector<Point> points;
  auto known = device.attributes;
  for (const auto& [name, json] : data.items()) {
    if (!is_attribute_name(name)) {
      return invalid("attribute '" + printable(name, 60) + "': expected " +
                     std::string(kAttributeNameForm));
    }
    if (name.starts_with(kOwnAttributes)) {
      return invalid("attribute '" + name + "': names that begin with '" +
                     std::string(kOwnAttributes) + "' are the agent's own");
    }
    known.insert(name);
    if (known.size() > kMaxAttributes) {
      return invalid("attribute '" + name + "': the device has " + std::to_string(kMaxAttributes) +
                     " attributes already, which is Losant's limit");
    }
    Value value = FP_TRY(to_value(name, json));
    points.push_back({symbols_->intern(name), std::move(value)});
  }
  device.attributes = std::move(known);
  return points;
}

Result<DeviceSample> LocalState::parse(const Json& request, BootTime now, int64_t now_utc_ms) {
  for (const auto& [key, value] : request.items()) {
    if (key != "do" && key != "device" && key != "data" && key != "time") {
      return invalid("unknown key \"" + printable(key, 60) + "\"; known are device, data, time");
    }
  }
  Device* const device = FP_TRY(find(request));
  const auto data = request.find("data");
  if (data == request.end() || !data->is_object() || data->empty()) {
    return invalid("\"data\": expected an object of attributes, at least one");
  }
  DeviceSample sample{.device = device->id};
  sample.time = FP_TRY(time_of(request, now, now_utc_ms));
  sample.points = FP_TRY(points_of(*device, *data));
  if (sample.time.base == CaptureTime::Base::ThisBoot) {
    for (const Point& p : sample.points) {
      const auto last = device->last_ms.find(*p.attribute);
      if (last != device->last_ms.end())
        sample.time.ms = std::max(sample.time.ms, last->second + 1);
    }
    if (sample.time.ms >
        std::chrono::floor<std::chrono::milliseconds>(now.time_since_epoch()).count() +
            kMaxAheadMs) {
      return invalid("too fast: an attribute has one value in a millisecond at most");
    }
    for (const Point& p : sample.points) device->last_ms[*p.attribute] = sample.time.ms;
  }
  return sample;
}

}  // namespace fieldpost
