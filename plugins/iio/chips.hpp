// SPDX-License-Identifier: Apache-2.0
//
// Finding a chip by what stays the same. The kernel numbers hwmon0, hwmon1, iio:device0, … in the
// order in which drivers come up, so the same chip has another number after a reboot, or after it
// was unplugged.
#pragma once

#include <filesystem>
#include <string>

#include "quantities.hpp"

namespace iio {

// What the configuration says of a chip; "" counts for nothing.
struct Wanted {
  Interface interface = Interface::Hwmon;
  std::string name;
  std::string label;
  std::string parent;  // the end of the parent's path in sysfs, or of its node in the device tree
};

// For messages: "w1_slave_temp at 28-00000a1b2c3d".
std::string words_of(const Wanted& wanted);

// The folder that has the chip's files now, below `sys`. It is looked for at every call. Throws
// IoError: there is none, with what there is; or there are several, with what tells them apart.
std::filesystem::path find_chip(const std::filesystem::path& sys, const Wanted& wanted);

}  // namespace iio
