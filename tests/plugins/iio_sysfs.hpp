// SPDX-License-Identifier: Apache-2.0
//
// A folder that looks like /sys: chips of hwmon and iio where the kernel has them, with its links.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>

namespace iio::fakes {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

class Sysfs {
 public:
  Sysfs() {
    std::string name = (fs::temp_directory_path() / "fieldpost-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    root_ = name;
    for (const char* folder : {"sys/devices", "sys/class/hwmon", "sys/bus/iio/devices"}) {
      fs::create_directories(root_ / folder);
    }
  }
  Sysfs(const Sysfs&) = delete;
  Sysfs& operator=(const Sysfs&) = delete;
  ~Sysfs() { fs::remove_all(root_); }

  std::string root() const { return root_.string(); }
  fs::path device(const std::string& path) const { return root_ / "sys/devices" / path; }

  // A device of the device tree.
  void node(const std::string& path, const std::string& node) const {
    const fs::path target = root_ / "sys/firmware/devicetree/base" / node;
    fs::create_directories(target);
    fs::create_directories(device(path));
    fs::create_directory_symlink(target, device(path) / "of_node");
  }
  // A chip of hwmon of the device at `path` below devices; "": one without a device.
  fs::path hwmon(int number, const std::string& path, const Files& files) const {
    const std::string name = "hwmon" + std::to_string(number);
    const fs::path folder = device(path.empty() ? "virtual" : path) / "hwmon" / name;
    add(folder, files);
    if (!path.empty()) fs::create_directory_symlink(device(path), folder / "device");
    fs::create_directory_symlink(folder, root_ / "sys/class/hwmon" / name);
    return folder;
  }
  fs::path iio(int number, const std::string& path, const Files& files) const {
    const std::string name = "iio:device" + std::to_string(number);
    const fs::path folder = device(path) / name;
    add(folder, files);
    fs::create_directory_symlink(folder, root_ / "sys/bus/iio/devices" / name);
    return folder;
  }
  // As when the driver lets go of it.
  void remove(const fs::path& folder) const {
    for (const char* all : {"sys/class/hwmon", "sys/bus/iio/devices"}) {
      fs::remove(root_ / all / folder.filename());
    }
    fs::remove_all(folder);
  }

 private:
  static void add(const fs::path& folder, const Files& files) {
    fs::create_directories(folder);
    for (const auto& [name, text] : files) std::ofstream(folder / name) << text << '\n';
  }
  fs::path root_;
};

inline void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

// The kernel says so when nothing is mapped at the address 0.
inline void make_unreadable(const fs::path& file) {
  fs::remove(file);
  fs::create_symlink("/proc/self/mem", file);
}

}  // namespace iio::fakes
