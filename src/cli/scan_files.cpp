// SPDX-License-Identifier: Apache-2.0
//
// What is found by looking at files: serial ports and the kernel's sensors.
#include <grp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <system_error>

#include "base/file.hpp"
#include "base/text.hpp"
#include "cli/scan.hpp"

namespace fieldpost::cli {
namespace {

namespace fs = std::filesystem;

std::string target_of(const fs::path& link) {
  std::error_code error;
  const fs::path path = fs::canonical(link, error);
  return error ? "" : path.string();
}

// So that ttyUSB10 comes after ttyUSB9.
bool by_number(const std::string& a, const std::string& b) {
  return strverscmp(a.c_str(), b.c_str()) < 0;
}

// The names that udev gives to a port for what is plugged in, which stay the same: by-id, and where
// adapters have no serial numbers, by-path.
std::map<std::string, std::string> lasting_names(const std::string& root) {
  std::map<std::string, std::string> names;  // by the device
  for (const char* kind : {"by-path", "by-id"}) {
    const std::string folder = root + "/dev/serial/" + kind;
    for (const std::string& name : names_in(folder)) {
      names[fs::path(target_of(folder + "/" + name)).filename().string()] =
          "/dev/serial/" + std::string(kind) + "/" + name;
    }
  }
  return names;
}

// 8250 drivers have ports for hardware that is not there: their type is 0.
bool is_there(const fs::path& port) {
  std::error_code error;
  return fs::exists(port / "device", error) && text_in_file(port / "type") != "0";
}

std::string about_port(const fs::path& port) {
  std::string driver = fs::path(target_of(port / "device/driver")).filename().string();
  // A USB adapter's names are those of the device that its interface is a part of.
  for (fs::path at = target_of(port / "device"); at.has_relative_path(); at = at.parent_path()) {
    if (const std::string product = text_in_file(at / "product"); !product.empty()) {
      const std::string maker = text_in_file(at / "manufacturer");
      return printable((maker.empty() ? "" : maker + " ") + product + ", " + driver);
    }
  }
  return driver;
}

std::string joined(const std::vector<std::string>& all) {
  std::string text;
  for (const std::string& one : all) text += (text.empty() ? "" : ", ") + one;
  return text;
}

// The channels of a chip that have a value, as the plugin names them.
std::vector<std::string> channels_of(const fs::path& chip, bool hwmon) {
  std::vector<std::string> channels;
  for (const std::string& name : names_in(chip.string())) {
    if (!hwmon && !name.starts_with("in_")) continue;
    for (const char* end : {"_input", "_raw"}) {
      if (name.ends_with(end)) channels.push_back(name.substr(0, name.size() - std::strlen(end)));
    }
  }
  return channels;
}

void scan_chips(const std::string& folder, const std::string& prefix, bool hwmon, Scan& scan) {
  for (const std::string& entry : names_in(folder, prefix)) {
    const fs::path chip = fs::path(folder) / entry;
    const std::string parent =
        fs::path(target_of(hwmon ? chip / "device" : chip / "..")).filename().string();
    scan.found.push_back({.name = printable(text_in_file(chip / "name"), 80),
                          .about = (hwmon ? "hwmon" : "iio") +
                                   std::string(parent.empty() ? "" : ", parent " + parent) + ": " +
                                   joined(channels_of(chip, hwmon)),
                          .user = {}});
  }
}

}  // namespace

std::string text_in_file(const std::string& file) {
  auto text = read_file(file, 4096);
  if (!text) return "";
  while (!text->empty() && std::isspace(static_cast<unsigned char>(text->back())) != 0) {
    text->pop_back();
  }
  return *text;
}

std::vector<std::string> names_in(const std::string& folder, const std::string& prefix) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error)) {
    const std::string name = i->path().filename().string();
    if (name.starts_with(prefix)) names.push_back(name);
  }
  std::ranges::sort(names, by_number);
  return names;
}

std::string user_of(const std::string& device) {
  const std::string wanted = target_of(device);
  for (const std::string& pid : names_in("/proc")) {
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    for (const std::string& fd : names_in("/proc/" + pid + "/fd")) {
      std::error_code error;
      if (fs::read_symlink("/proc/" + pid + "/fd/" + fd, error) != wanted) continue;
      return printable(text_in_file("/proc/" + pid + "/comm"), 40) + " (process " + pid + ")";
    }
  }
  return "";
}

std::string how_to_switch_on(const std::string& root, const std::string& raspi_config,
                             const std::string& otherwise) {
  const std::string model = text_in_file(root + "/proc/device-tree/model");
  return model.starts_with("Raspberry Pi") ? raspi_config : otherwise;
}

std::string name_of_group(unsigned gid) {
  const group* found = ::getgrgid(gid);  // NOLINT(concurrency-mt-unsafe): one thread
  return found == nullptr ? std::to_string(gid) : found->gr_name;
}

std::string trouble_with(const std::string& device, int errno_value) {
  std::string words = device + ": " + std::generic_category().message(errno_value);
  struct stat found {};
  if (errno_value != EACCES || ::stat(device.c_str(), &found) != 0) return words;
  words += ": ask again with sudo";
  return found.st_gid == 0
             ? words
             : words + ", or be in its group: sudo adduser $USER " + name_of_group(found.st_gid);
}

Scan scan_serial(const std::string& root) {
  Scan scan;
  const auto lasting = lasting_names(root);
  for (const std::string& port : names_in(root + "/sys/class/tty")) {
    const fs::path folder = root + "/sys/class/tty/" + port;
    const std::string device = "/dev/" + port;
    std::error_code error;
    if (!is_there(folder) || !fs::exists(root + device, error)) continue;
    const auto name = lasting.find(port);
    const bool has_lasting = name != lasting.end();
    scan.found.push_back({.name = has_lasting ? name->second : device,
                          .about = about_port(folder) + (has_lasting ? ", now " + device : ""),
                          .user = user_of(root + device)});
  }
  scan.hint = scan.found.empty()
                  ? "there is no serial port. Plug the adapter in; " +
                        how_to_switch_on(root,
                                         "the Raspberry Pi's own is switched on with  sudo "
                                         "raspi-config nonint do_serial_hw 0",
                                         "what the kernel sees of it:  sudo dmesg | tail")
                  : "options.url = \"rtu://" + scan.found[0].name + "?baud=9600\"";
  return scan;
}

Scan scan_iio(const std::string& root) {
  Scan scan;
  scan_chips(root + "/sys/bus/iio/devices", "iio:device", false, scan);
  scan_chips(root + "/sys/class/hwmon", "hwmon", true, scan);
  scan.hint =
      scan.found.empty()
          ? "the kernel's drivers have no sensor. One on I2C or SPI needs its driver" +
                how_to_switch_on(root,
                                 ", a line such as  dtoverlay=i2c-sensor,bme280  in config.txt",
                                 " and an entry of the device tree")
          : "[[plugin.chip]]\nchip = \"" + scan.found[0].name +
                "\"\n[[plugin.chip.channel]]\nattribute = \"…\"\nchannel = \"one of those above\"";
  return scan;
}

}  // namespace fieldpost::cli
