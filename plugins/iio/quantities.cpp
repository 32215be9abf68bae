// SPDX-License-Identifier: Apache-2.0
#include "quantities.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>

namespace iio {
namespace {

struct Kind {
  std::string_view name;
  double times;
  double over;
  std::string_view unit;
};

// Linux, Documentation/hwmon/sysfs-interface.rst: the section of each, "Unit:".
constexpr Kind kHwmon[] = {
    {"temp", 1, 1000, "degC"},      // millidegree Celsius
    {"in", 1, 1000, "V"},           // millivolt
    {"curr", 1, 1000, "A"},         // milliampere
    {"power", 1, 1'000'000, "W"},   // microWatt
    {"energy", 1, 1'000'000, "J"},  // microJoule
    {"humidity", 1, 1000, "%"},     // milli-percent
    {"fan", 1, 1, "RPM"},           // revolution/min
    {"pwm", 100, 255, "%"},         // "255 is max or 100%"
    {"intrusion", 1, 1, ""},        // has an alarm and nothing else
};

// Linux, Documentation/ABI/testing/sysfs-bus-iio: "Units after application of scale and offset" of
// in_<name>_raw, and of in_<name>_input.
constexpr Kind kIio[] = {
    {"temp", 1, 1000, "degC"},                // milli degrees Celsius
    {"voltage", 1, 1000, "V"},                // millivolts
    {"altvoltage", 1, 1000, "V"},             // "has all of the equivalent parameters as voltageY"
    {"current", 1, 1000, "A"},                // milliamps
    {"power", 1, 1000, "W"},                  // milliwatts
    {"pressure", 1000, 1, "Pa"},              // kilopascal
    {"humidityrelative", 1, 1000, "%"},       // milli percent
    {"illuminance", 1, 1, "lx"},              // lux
    {"intensity", 1, 1, ""},                  // "unit-less"
    {"uvindex", 1, 1, ""},                    // index
    {"proximity", 1, 1, ""},                  // "often these sensors are unit less"
    {"distance", 1, 1, "m"},                  // meters
    {"concentration", 1, 1, "%"},             // percents
    {"massconcentration", 1, 1, "ug/m3"},     // ug / m3
    {"resistance", 1, 1, "ohm"},              // ohms
    {"capacitance", 1, 1, "nF"},              // nanofarads
    {"electricalconductivity", 1, 1, "S/m"},  // siemens per meter
    {"ph", 1, 1, ""},                         // a logarithm
    {"accel", 1, 1, "m/s2"},                  // m/s^2
    {"gravity", 1, 1, "m/s2"},                // m/s^2
    {"anglvel", 1, 1, "rad/s"},               // radians per second
    {"angl", 1, 1, "rad"},                    // radians
    {"incli", 1, 1, "deg"},                   // degrees
    {"magn", 1, 1, "G"},                      // Gauss
    {"phase", 1, 1, "rad"},                   // radians
    {"deltaangl", 1, 1, "rad"},               // radians
    {"deltavelocity", 1, 1, "m/s"},           // meters per second
    {"velocity", 1, 1, "m/s"},                // m/s
    {"positionrelative", 1, 1000, "%"},       // milli percents
    {"energy", 1, 1, "J"},                    // Joules
    {"activity", 1, 1, "%"},                  // percentage
    {"steps", 1, 1, ""},                      // a number
    {"count", 1, 1, ""},                      // a number
};

bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

const Kind* find(std::span<const Kind> kinds, std::string_view name) {
  const auto it = std::ranges::find(kinds, name, &Kind::name);
  return it == kinds.end() ? nullptr : &*it;
}

// <type><number>, such as temp1.
std::optional<Quantity> hwmon_quantity(std::string_view channel) {
  const auto letters = std::ranges::find_if_not(channel, is_letter);
  const std::string_view number(letters, channel.end());
  const Kind* kind = find(kHwmon, {channel.begin(), letters});
  if (kind == nullptr || number.empty() || !std::ranges::all_of(number, is_digit)) return {};
  return Quantity{Interface::Hwmon, kind->times, kind->over, kind->unit, false};
}

// in_<type>, or in_<type><number>, with a modifier or a second input behind it.
std::optional<Quantity> iio_quantity(std::string_view body) {
  const auto letters = std::ranges::find_if_not(body, is_letter);
  const std::string_view rest(letters, body.end());
  const Kind* kind = find(kIio, {body.begin(), letters});
  const bool ends = rest.empty() || is_digit(rest.front()) || rest.front() == '_';
  if (kind == nullptr || !ends || rest.find('/') != std::string_view::npos) return {};
  // Of in_currentX_raw: "if no offset or scale is present, output should be considered as
  // processed with the unit in milliamps".
  const bool needs_scale = !kind->unit.empty() && kind->name != "current";
  return Quantity{Interface::Iio, kind->times, kind->over, kind->unit, needs_scale};
}

}  // namespace

std::optional<Quantity> quantity_of(std::string_view channel) {
  for (const std::string_view direction : {"in_", "out_"}) {
    if (channel.starts_with(direction)) return iio_quantity(channel.substr(direction.size()));
  }
  return hwmon_quantity(channel);
}

double tidy(double value) {
  if (!std::isfinite(value)) return value;
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.begin(), text.end(), value, std::chars_format::scientific, 11);
  double ret = value;
  (void)std::from_chars(text.begin(), end.ptr, ret);
  return ret;
}

}  // namespace iio
