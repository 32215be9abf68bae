// SPDX-License-Identifier: Apache-2.0
#include "channels.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "../common/rounding.hpp"
#include "sysfs.hpp"

namespace iio {
namespace {

namespace fs = std::filesystem;
namespace sdk = fieldpost::sdk;

// The chip answered, but not with a measurement.
struct Doubt : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// "; it has temp1_input, temp1_max": what begins like the channel, or else all that is measured.
std::string what_there_is(const fs::path& folder, const std::string& channel) {
  std::string of_channel;
  std::string all;
  for (const std::string& name : names_in(folder)) {
    if (name.starts_with(channel + "_")) of_channel += (of_channel.empty() ? "" : ", ") + name;
    if (name.ends_with("_input") || name.ends_with("_raw")) all += (all.empty() ? "" : ", ") + name;
  }
  if (!of_channel.empty()) return "; it has " + of_channel;
  return all.empty() ? "" : "; it has " + all;
}

double number_of(const fs::path& folder, const ChannelRow& row, const std::string& file) {
  const auto value = read_number(folder / file);
  if (!value) throw sdk::IoError("has no " + file + what_there_is(folder, row.channel));
  return *value;
}

// ---- hwmon.

// hwmon/sysfs-interface.rst: "when this boolean has value 1, the measurement for that channel
// should not be trusted".
void refuse_fault(const fs::path& folder, const std::string& channel) {
  const auto fault = read_number(folder / (channel + "_fault"));
  if (fault.value_or(0) != 0) {
    throw Doubt("the chip reports a fault (" + channel +
                "_fault): is the sensor, or the fan, connected?");
  }
}

// Linux, drivers/w1/slaves/w1_therm.c: a DS18B20 that lost its power while it measured gives what
// it has after it is switched on, 85 degC, or 127.937 degC; its byte 6 is then 0x0C. So the
// driver's own check has it, which is off unless root switches it on (the file features).
constexpr std::string_view kW1Name = "w1_slave_temp";
constexpr double kPowerOn = 85000;
constexpr double kPowerFailed = 127937;
constexpr unsigned long kPowerOnByte6 = 0x0C;

// Byte `index` of w1_slave's first line, "50 05 4b 46 7f ff 0c 10 1c : crc=1c YES".
unsigned long byte_of(const std::string& text, size_t index) {
  return std::strtoul(text.substr(std::min(text.size(), index * 3), 2).c_str(), nullptr, 16);
}

// Measures once more, and looks at all that the sensor says. Its 85 degC may be true.
double asked_again(const fs::path& folder, double first) {
  const std::string why =
      first == kPowerOn ? "85 degC is what it says when it has not measured since it got its power"
                        : "127.937 degC is what it says when its power failed";
  const auto text = read_text(folder / "device/w1_slave");
  const size_t at = text ? text->find("t=") : std::string::npos;
  if (at == std::string::npos || text->find("YES") == std::string::npos) {
    throw Doubt(why + ", and it cannot be asked again");
  }
  const double value = std::strtod(text->c_str() + at + 2, nullptr);
  const bool suspect = value == kPowerOn || value == kPowerFailed;
  if (suspect && byte_of(*text, 6) == kPowerOnByte6) {
    throw Doubt(why + ": is its supply, or its pull-up, too weak?");
  }
  return value;
}

double hwmon_value(const fs::path& folder, const ChannelRow& row) {
  const bool is_value = row.item == "value";
  if (is_value) refuse_fault(folder, row.channel);
  std::string file = row.channel;
  if (!row.channel.starts_with("pwm")) file += is_value ? "_input" : "_" + row.item;
  const double value = number_of(folder, row, file);
  if (is_value && (value == kPowerOn || value == kPowerFailed) &&
      read_text(folder / "name") == kW1Name) {
    return asked_again(folder, value);
  }
  return value;
}

// ---- iio.

std::string without_digits(std::string_view text) {
  std::string ret;
  std::ranges::copy_if(text, std::back_inserter(ret), [](char c) { return c < '0' || c > '9'; });
  return ret;
}

// Where the scale of a channel may be, the nearest first. sysfs-bus-iio: "if shared across all in
// channels then Y and <x|y|z> are not present", so in_voltage0_i's may be in in_voltage0_i_scale,
// in_voltage_i_scale, in_voltage0_scale, in_voltage_scale; and for a chip that has one for all, in
// in_scale or scale.
std::vector<std::string> shared_names(const std::string& channel, const std::string& info) {
  const size_t direction = channel.find('_') + 1;  // behind "in_", "out_"
  std::vector<std::string> names;
  for (std::string stem = channel; stem.size() > direction;) {
    names.push_back(stem + "_" + info);
    const std::string shared = without_digits(stem);
    if (shared != stem) names.push_back(shared + "_" + info);
    const size_t modifier = stem.rfind('_');
    if (modifier < direction) break;
    stem.resize(modifier);
  }
  names.push_back(channel.substr(0, direction) + info);
  names.push_back(info);
  return names;
}

std::optional<double> shared_number(const fs::path& folder, const std::string& channel,
                                    const std::string& info) {
  for (const std::string& name : shared_names(channel, info)) {
    if (const auto value = read_number(folder / name)) return value;
  }
  return {};
}

// "_input" is processed by the driver. Otherwise (raw + offset) * scale: sysfs-bus-iio has offset
// "to be added to <type>[Y]_raw prior to scaling".
double iio_value(const fs::path& folder, const ChannelRow& row) {
  if (row.item == "raw") return number_of(folder, row, row.channel + "_raw");
  if (const auto done = read_number(folder / (row.channel + "_input"))) return *done;
  const double raw = number_of(folder, row, row.channel + "_raw");
  const auto scale = shared_number(folder, row.channel, "scale");
  if (!scale && row.quantity.needs_scale) {
    throw sdk::IoError(
        "has no scale, so nobody knows the unit of its count: take item = \"raw\" "
        "and a scale of your own");
  }
  const double offset = shared_number(folder, row.channel, "offset").value_or(0);
  return (raw + offset) * scale.value_or(1);
}

// ---- Both.

sdk::Value value_of(const fs::path& folder, const ChannelRow& row) {
  const double said = row.quantity.interface == Interface::Hwmon ? hwmon_value(folder, row)
                                                                 : iio_value(folder, row);
  if (row.is_boolean) {
    if (said != 0 && said != 1) throw sdk::IoError("is neither 0 nor 1");
    return said == 1;
  }
  const double value = said * row.quantity.times / row.quantity.over * row.scale + row.offset;
  return row.decimals < 0 ? tidy(value) : plugin_common::rounded(value, row.decimals);
}

}  // namespace

sdk::Value nothing(const ChannelRow& row) {
  if (row.is_boolean) return false;
  return 0.0;
}

sdk::Reading read_channel(const fs::path& folder, const ChannelRow& row) {
  try {
    return {row.attribute, value_of(folder, row), FP_GOOD, {}};
  } catch (const Doubt& e) {
    return {row.attribute, nothing(row), FP_OUT_OF_RANGE, e.what()};
  }
}

}  // namespace iio
