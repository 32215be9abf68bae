// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <system_error>

#include "bus.hpp"

namespace i2c {

std::string bus_path(const std::string& bus) {
  const bool number =
      !bus.empty() && std::ranges::all_of(bus, [](char c) { return c >= '0' && c <= '9'; });
  return number ? "/dev/i2c-" + bus : bus;
}

std::string explain(int errno_value) {
  std::string text = std::generic_category().message(errno_value);
  switch (errno_value) {
    case EREMOTEIO:  // Documentation/i2c/fault-codes.rst: drivers differ in which they give
    case ENXIO:
      return "no acknowledge (" + text + "): is it wired and powered?";
    case ETIMEDOUT:
      return "the bus is held (" + text + "): a chip that keeps SCL or SDA low, or no pull-up?";
    case EAGAIN:
      return "lost arbitration (" + text + "): is there another master?";
    case EBUSY:
      return "a kernel driver has this chip (" + text +
             "): read it through the driver, or take it away from it";
    case EOPNOTSUPP:
      return "this bus cannot do such a transfer (" + text + ")";
    default:
      return text;
  }
}

}  // namespace i2c
