// SPDX-License-Identifier: Apache-2.0
//
// What is found by asking the kernel: lines of GPIO chips, and chips on I2C buses.
#include <fcntl.h>
#include <linux/gpio.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <sys/file.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "cli/scan.hpp"

namespace fieldpost::cli {
namespace {

template <size_t N>
std::string text_in(const char (&field)[N]) {
  return printable({field, ::strnlen(field, N)});
}

// ---- GPIO.

void scan_chip(const std::string& device, Scan& scan) {
  const UniqueFd fd(::open(device.c_str(), O_RDWR | O_CLOEXEC));
  gpiochip_info chip{};
  if (fd.get() < 0 || ::ioctl(fd.get(), GPIO_GET_CHIPINFO_IOCTL, &chip) != 0) {
    return scan.troubles.push_back(trouble_with(device, errno));
  }
  for (uint32_t offset = 0; offset < chip.lines; ++offset) {
    gpio_v2_line_info line{};
    line.offset = offset;
    if (::ioctl(fd.get(), GPIO_V2_GET_LINEINFO_IOCTL, &line) != 0) continue;
    const bool used = (line.flags & GPIO_V2_LINE_FLAG_USED) != 0;
    const std::string user = text_in(line.consumer);
    const std::string name = text_in(line.name);
    scan.found.push_back(
        {.name = text_in(chip.label) + " " + std::to_string(offset),
         .about = (name.empty() ? "no name" : name) +
                  ((line.flags & GPIO_V2_LINE_FLAG_OUTPUT) != 0 ? ", output" : ", input"),
         .user = !used          ? ""
                 : user.empty() ? "the kernel"
                                : user});
  }
}

// ---- I2C.

bool answers(int fd, uint8_t command, uint32_t size) {
  i2c_smbus_data data{};
  i2c_smbus_ioctl_data request{.read_write = static_cast<uint8_t>(
                                   size == I2C_SMBUS_QUICK ? I2C_SMBUS_WRITE : I2C_SMBUS_READ),
                               .command = command,
                               .size = size,
                               .data = size == I2C_SMBUS_QUICK ? nullptr : &data};
  return ::ioctl(fd, I2C_SMBUS, &request) == 0;
}

// EEPROMs may take an empty write for the start of one, and some chips lock up on an empty read.
bool is_read_there(uint8_t address) {
  return (address >= 0x30 && address <= 0x37) || (address >= 0x50 && address <= 0x5F);
}

std::string hex(unsigned number) {
  char text[8];
  (void)std::snprintf(text, sizeof text, "0x%02X", number);
  return text;
}

// "1-0048", as the kernel names a chip that one of its drivers has.
std::string kernel_name(const std::string& root, const std::string& bus, unsigned address) {
  char id[32];
  (void)std::snprintf(id, sizeof id, "%s-%04x", bus.c_str(), address);
  return text_in_file(root + "/sys/bus/i2c/devices/" + id + "/name");
}

void scan_bus(const std::string& root, const std::string& bus, Scan& scan) {
  const std::string device = root + "/dev/i2c-" + bus;
  const UniqueFd fd(::open(device.c_str(), O_RDWR | O_CLOEXEC));
  unsigned long functions = 0;
  if (fd.get() < 0 || ::ioctl(fd.get(), I2C_FUNCS, &functions) != 0) {
    return scan.troubles.push_back(trouble_with(device, errno));
  }
  const bool quick = (functions & I2C_FUNC_SMBUS_QUICK) != 0;
  for (unsigned address = 0x08; address <= 0x77; ++address) {
    const Found found{.name = "bus " + bus + " " + hex(address), .about = {}, .user = {}};
    if (::ioctl(fd.get(), I2C_SLAVE, static_cast<unsigned long>(address)) != 0) {
      if (errno != EBUSY) continue;
      scan.found.push_back(found);
      scan.found.back().user = "the kernel's driver, as " + kernel_name(root, bus, address) +
                               ": read it with the plugin iio";
      continue;
    }
    // As the plugin does around transfers that belong together.
    if (::flock(fd.get(), LOCK_EX) != 0) continue;
    const bool there = quick && !is_read_there(static_cast<uint8_t>(address))
                           ? answers(fd.get(), 0, I2C_SMBUS_QUICK)
                           : answers(fd.get(), 0, I2C_SMBUS_BYTE);
    (void)::flock(fd.get(), LOCK_UN);
    if (there) scan.found.push_back(found);
  }
}

}  // namespace

Scan scan_gpio(const std::string& root) {
  Scan scan;
  for (const std::string& name : names_in(root + "/dev", "gpiochip")) {
    scan_chip(root + "/dev/" + name, scan);
  }
  if (!scan.found.empty()) {
    scan.hint =
        "options.chip is what stands before the number; a row's line is its name, or offset the "
        "number";
  } else if (scan.troubles.empty()) {
    scan.hint = "there is no GPIO chip (/dev/gpiochip*)";
  }
  return scan;
}

Scan scan_i2c(const std::string& root, const std::string& bus) {
  Scan scan;
  const std::vector<std::string> there = names_in(root + "/dev", "i2c-");
  if (bus.empty()) {
    for (const std::string& name : there) scan_bus(root, name.substr(4), scan);
  } else {
    const size_t dash = bus.rfind('-');
    scan_bus(root, dash == std::string::npos ? bus : bus.substr(dash + 1), scan);
  }
  if (there.empty()) {
    scan.hint = how_to_switch_on(
        root,
        "the I2C bus is off: switch it on with  sudo raspi-config nonint do_i2c 0  (and reboot)",
        "there is no I2C bus (/dev/i2c-*); its module may not be loaded:  sudo modprobe i2c-dev");
  } else if (!scan.found.empty()) {
    scan.hint = "profiles for chips that are only registers:  fieldpost plugins help i2c";
  } else if (scan.troubles.empty()) {
    scan.hint = "no chip answers: look at wiring, supply and pull-up resistors";
  }
  return scan;
}

}  // namespace fieldpost::cli
