// SPDX-License-Identifier: Apache-2.0
//
// What hardware this machine has, found with as little touching as can be: a function for each
// kind. `root` is "", or the folder where a test has laid out files of its own.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace fieldpost::cli {

// One thing that was found.
struct Found {
  std::string name;   // as a configuration names it: "/dev/serial/by-id/usb-…", "0x48"
  std::string about;  // what the system knows of it
  std::string user;   // who has it: "boiler (process 812)"; empty: nobody, as far as we may see
  bool operator==(const Found&) const = default;
};
struct Scan {
  std::vector<Found> found;
  std::vector<std::string> troubles;  // what could not be looked at, and what to do about it
  std::string hint;                   // lines of a configuration; or how a bus is switched on
};

// Serial ports that have hardware behind them.
Scan scan_serial(const std::string& root);
// Sensors of the kernel's drivers: iio and hwmon.
Scan scan_iio(const std::string& root);
// Lines of GPIO chips. Asks the kernel; requests no line.
Scan scan_gpio(const std::string& root);
// Addresses that answer on an I2C bus ("1", "/dev/i2c-1"), or on all. Each is asked with the
// transfer that does least harm there, as i2cdetect(8) does.
Scan scan_i2c(const std::string& root, const std::string& bus);

// For the others: who has a device file open, as /proc tells. Root sees all processes, others see
// their own.
std::string user_of(const std::string& device);
// `raspi_config` on a Raspberry Pi, whose buses are off as it comes, else `otherwise`.
std::string how_to_switch_on(const std::string& root, const std::string& raspi_config,
                             const std::string& otherwise);
// The text of a file of sysfs without the white space around it; "" if it cannot be read.
std::string text_in_file(const std::string& file);
// The names in a folder that begin with `prefix`, those with numbers in their order.
std::vector<std::string> names_in(const std::string& folder, const std::string& prefix = "");
// Its number, if it has no name.
std::string name_of_group(unsigned gid);
// What to do about a device file that could not be opened.
std::string trouble_with(const std::string& device, int errno_value);

}  // namespace fieldpost::cli
