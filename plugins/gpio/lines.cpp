// SPDX-License-Identifier: Apache-2.0
#include "lines.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "../common/access.hpp"

namespace gpio {
namespace {

constexpr size_t kMaxListed = 12;  // names in a message

std::string text_of(int errno_value) { return std::generic_category().message(errno_value); }

bool is_number(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::string listed(const std::vector<ChipInfo>& chips) {
  if (chips.empty()) return "no GPIO chip can be opened here";
  std::string all = "there is: ";
  for (const ChipInfo& chip : chips) {
    all += (&chip == chips.data() ? "" : ", ") + chip.name + " \"" + chip.label + "\"";
  }
  return all;
}

std::string line_of(const ChipInfo& chip, unsigned offset) {
  return "line " + std::to_string(offset) + " of " + chip.name;
}

// The same file seen through stat(2): inode and device number.
bool identity(const std::string& path, uint64_t& inode, uint64_t& device) {
  struct stat node {};
  if (stat(path.c_str(), &node) != 0) return false;
  inode = node.st_ino;
  device = node.st_rdev;
  return true;
}

}  // namespace

std::string find_chip(const std::string& wanted, const std::vector<ChipInfo>& chips) {
  if (wanted.starts_with('/')) return wanted;
  const std::string name = is_number(wanted) ? "gpiochip" + wanted : wanted;
  // A name may be a symbolic link in /dev, which is not listed: Raspberry Pi OS has gpiochip4.
  std::error_code ignored;
  if (name.starts_with("gpiochip") && std::filesystem::exists("/dev/" + name, ignored)) {
    return "/dev/" + name;
  }
  std::vector<const ChipInfo*> found;
  for (const ChipInfo& chip : chips) {
    if (chip.name == name || chip.label == wanted) found.push_back(&chip);
  }
  if (found.size() == 1) return found.front()->path;
  if (found.empty()) {
    // Chips that may not be opened are not listed: then that is what is wrong.
    for (const std::string& path : chip_paths()) {
      if (access(path.c_str(), R_OK | W_OK) != 0) throw open_error(path, errno);
    }
    throw LineError(ENOENT, "no GPIO chip \"" + wanted + "\"; " + listed(chips));
  }
  throw LineError(
      EINVAL, "more than one GPIO chip \"" + wanted + "\": name it by its path; " + listed(chips));
}

unsigned find_line(const std::string& name, const std::vector<std::string>& names,
                   const ChipInfo& chip) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) {
    std::string known;
    size_t n = 0;
    for (const std::string& other : names) {
      if (other.empty() || n > kMaxListed) continue;
      known += n == 0 ? "" : ", ";
      known += n++ < kMaxListed ? "\"" + other + "\"" : "…";
    }
    throw LineError(
        ENOENT, "no line \"" + name + "\" on " + chip.name + " \"" + chip.label + "\"; " +
                    (known.empty() ? "its lines have no names: use offset" : "it has " + known));
  }
  if (std::find(found + 1, names.end(), name) != names.end()) {
    throw LineError(
        EINVAL, "more than one line of " + chip.name + " is called \"" + name + "\": use offset");
  }
  return static_cast<unsigned>(found - names.begin());
}

std::vector<std::string> chip_paths() {
  std::vector<std::pair<unsigned long, std::string>> found;
  std::error_code error;
  for (std::filesystem::directory_iterator i("/dev", error), end; !error && i != end;
       i.increment(error)) {
    const std::string name = i->path().filename();
    if (!name.starts_with("gpiochip") || !is_number(name.substr(8))) continue;
    if (i->is_symlink(error)) continue;
    found.emplace_back(std::stoul(name.substr(8)), i->path());
  }
  std::ranges::sort(found);
  std::vector<std::string> paths;
  paths.reserve(found.size());
  for (auto& [number, path] : found) paths.push_back(std::move(path));
  return paths;
}

LineError open_error(const std::string& path, int errno_value) {
  switch (errno_value) {
    case EACCES:
    case EPERM:
      return {errno_value, plugin_common::no_permission(path, "gpio", "gpio")};
    case ENOTTY:
    case EINVAL:
    case ENODEV:
      return {errno_value, path + " is not a GPIO chip (" + text_of(errno_value) + ")"};
    default:
      return {errno_value, "cannot open " + path + ": " + text_of(errno_value)};
  }
}

LineError request_error(const ChipInfo& chip, unsigned offset, const std::string& consumer,
                        int errno_value) {
  const std::string line = line_of(chip, offset);
  switch (errno_value) {
    case EBUSY:
      return {errno_value,
              line + " is in use" + (consumer.empty() ? "" : " by \"" + consumer + "\"")};
    case EINVAL:
      return {errno_value, line + ": no such line, or the chip cannot do what is asked of it " +
                               "(bias, edges): " + text_of(errno_value)};
    case ENXIO:
      return {errno_value,
              line + " gives no edges: the chip has no interrupts; use edge = \"none\""};
    case EPERM:
    case EACCES:
      return {errno_value, plugin_common::no_permission(chip.path, "gpio", "gpio")};
    default:
      return {errno_value, "cannot take " + line + ": " + text_of(errno_value)};
  }
}

LineError access_error(const ChipInfo& chip, unsigned offset, const char* verb, int errno_value) {
  return {errno_value, std::string("cannot ") + verb + " " + line_of(chip, offset) + ": " +
                           text_of(errno_value)};
}

DeviceFile::DeviceFile(std::string path) : path_(std::move(path)) {
  identity(path_, inode_, device_);
}

bool DeviceFile::is_same() const {
  uint64_t inode = 0;
  uint64_t device = 0;
  return identity(path_, inode, device) && inode == inode_ && device == device_;
}

}  // namespace gpio
