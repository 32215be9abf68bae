// SPDX-License-Identifier: Apache-2.0
//
// What a channel measures, by its name, and in which unit the kernel gives it. Pure.
#pragma once

#include <optional>
#include <string_view>

namespace iio {

// The two interfaces of the kernel's; the names of their channels differ.
enum class Interface { Hwmon, Iio };

struct Quantity {
  Interface interface = Interface::Hwmon;
  // The kernel's number * times / over is in `unit`. Two numbers, so that 25080 / 1000 is 25.08.
  double times = 1;
  double over = 1;
  std::string_view unit;     // "" if there is none
  bool needs_scale = false;  // of iio: a raw count without a scale file says nothing
};

// None: the kernel's documents have no such channel.
std::optional<Quantity> quantity_of(std::string_view channel);

// `value` without the noise that multiplication leaves in the last digits: 12 are more than any
// driver gives.
double tidy(double value);

}  // namespace iio
