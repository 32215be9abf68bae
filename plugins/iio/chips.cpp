// SPDX-License-Identifier: Apache-2.0
#include "chips.hpp"

#include <fieldpost/plugin.hpp>

#include <algorithm>
#include <set>
#include <string_view>
#include <system_error>
#include <vector>

#include "sysfs.hpp"

namespace iio {
namespace {

namespace fs = std::filesystem;
namespace sdk = fieldpost::sdk;

struct Chip {
  fs::path folder;
  std::string name;
  std::string label;
  std::string parent;  // its path in sysfs; "" if it has none, as what is not on a bus
  std::string node;    // its path in the device tree; "" if it is not from there
};

// Where a link leads; "" if it is none.
std::string target_of(const fs::path& link) {
  std::error_code error;
  const fs::path path = fs::canonical(link, error);
  return error ? "" : path.string();
}

// A file that may not be there, or not be readable: then the chip is not the one that is meant.
std::string text_or_nothing(const fs::path& file) {
  try {
    return read_text(file).value_or("");
  } catch (const sdk::IoError&) {
    return "";
  }
}

// hwmon has a link to its device, and iio is in the folder of its device. A device that is on no
// bus is in /sys/devices itself, or in its folder virtual.
std::string parent_of(const fs::path& sys, const fs::path& folder, Interface interface) {
  if (interface == Interface::Hwmon) return target_of(folder / "device");
  const std::string own = target_of(folder);
  const std::string parent = fs::path(own).parent_path().string();
  const std::string devices = target_of(sys / "devices");
  return parent == devices || parent.starts_with(devices + "/virtual/") ? "" : parent;
}

std::string node_of(const Chip& chip) {
  const std::string own = target_of(chip.folder / "of_node");
  return own.empty() && !chip.parent.empty() ? target_of(fs::path(chip.parent) / "of_node") : own;
}

std::vector<Chip> all_chips(const fs::path& sys, Interface interface) {
  const bool hwmon = interface == Interface::Hwmon;
  const fs::path all = hwmon ? sys / "class/hwmon" : sys / "bus/iio/devices";
  const std::string_view prefix = hwmon ? "hwmon" : "iio:device";
  std::vector<Chip> chips;
  for (const std::string& entry : names_in(all)) {
    if (!entry.starts_with(prefix)) continue;  // iio has triggers too
    Chip chip{all / entry, text_or_nothing(all / entry / "name"), {}, {}, {}};
    chip.label = text_or_nothing(chip.folder / "label");
    chip.parent = parent_of(sys, chip.folder, interface);
    chip.node = node_of(chip);
    chips.push_back(std::move(chip));
  }
  return chips;
}

// Whether `path` ends in these components.
bool ends_in(std::string_view path, std::string_view end) {
  while (end.starts_with('/')) end.remove_prefix(1);
  if (!path.ends_with(end)) return false;
  return path.size() == end.size() || path[path.size() - end.size() - 1] == '/';
}

bool is_meant(const Chip& chip, const Wanted& wanted) {
  return (wanted.name.empty() || chip.name == wanted.name) &&
         (wanted.label.empty() || chip.label == wanted.label) &&
         (wanted.parent.empty() || ends_in(chip.parent, wanted.parent) ||
          ends_in(chip.node, wanted.parent));
}

std::string bus_id(const Chip& chip) { return fs::path(chip.parent).filename().string(); }

const char* words_of(Interface interface) {
  return interface == Interface::Hwmon ? "hwmon" : "iio";
}

std::string join(const std::vector<std::string>& all) {
  std::string text;
  for (const std::string& one : all) text += (text.empty() ? "" : ", ") + one;
  return text;
}

sdk::IoError none(const fs::path& sys, const std::vector<Chip>& chips, const Wanted& wanted) {
  const std::string what =
      std::string("there is no ") + words_of(wanted.interface) + " chip " + words_of(wanted);
  if (!fs::exists(sys / "devices")) {
    return sdk::IoError(what + ", and no '" + sys.string() + "' to look in");
  }
  std::vector<std::string> names;
  for (const Chip& chip : chips) {
    names.push_back(chip.name + (chip.parent.empty() ? "" : " at " + bus_id(chip)));
  }
  return sdk::IoError(what + (names.empty() ? ": the kernel has none at all; is its driver loaded?"
                                            : ", but " + join(names)));
}

// The option and its value for each, by the first way in which all differ.
std::string what_tells_apart(const std::vector<Chip>& chips) {
  struct Way {
    const char* option;
    std::string (*value)(const Chip&);
  };
  static constexpr Way kWays[] = {
      {"parent", bus_id},
      {"label", [](const Chip& chip) { return chip.label; }},
      {"parent", [](const Chip& chip) { return chip.node; }},
      {"parent", [](const Chip& chip) { return chip.parent; }},
      {"chip", [](const Chip& chip) { return chip.name; }},
  };
  for (const Way& way : kWays) {
    std::set<std::string> values;
    for (const Chip& chip : chips) values.insert(way.value(chip));
    if (values.size() < chips.size() || values.contains("")) continue;
    std::vector<std::string> quoted;
    for (const std::string& value : values) quoted.push_back("\"" + value + "\"");
    return std::string("; say which with ") + way.option + ": " + join(quoted);
  }
  return ", and nothing tells them apart";
}

}  // namespace

std::string words_of(const Wanted& wanted) {
  std::string text = wanted.name.empty() ? wanted.label : wanted.name;
  if (!wanted.name.empty() && !wanted.label.empty()) text += " \"" + wanted.label + "\"";
  if (wanted.parent.empty()) return text;
  return text + (text.empty() ? "at " : " at ") + wanted.parent;
}

fs::path find_chip(const fs::path& sys, const Wanted& wanted) {
  const std::vector<Chip> chips = all_chips(sys, wanted.interface);
  std::vector<Chip> meant;
  std::ranges::copy_if(chips, std::back_inserter(meant),
                       [&](const Chip& chip) { return is_meant(chip, wanted); });
  if (meant.empty()) throw none(sys, chips, wanted);
  if (meant.size() > 1) {
    throw sdk::IoError("there are " + std::to_string(meant.size()) + " " +
                       words_of(wanted.interface) + " chips " + words_of(wanted) +
                       what_tells_apart(meant));
  }
  return meant.front().folder;
}

}  // namespace iio
