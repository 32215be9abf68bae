// SPDX-License-Identifier: Apache-2.0
#include "config/across.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "base/text.hpp"
#include "config/guard_table.hpp"
#include "config/options.hpp"
#include "config/own_names.hpp"
#include "config/report_table.hpp"
#include "model/names.hpp"

namespace fieldpost {
namespace {

// ---- What plugins declare.

// Whether indices and names in it are what later code relies on; else in words what is not. A
// host has checked them, but it is the plugin's process that says so.
std::string nonsense(const Declaration& declaration, const InstanceConfig& config) {
  const auto fits = [&](const auto& item) {
    return item.unit < config.units.size() && item.section < config.sections.size();
  };
  for (const auto& attribute : declaration.attributes) {
    if (!fits(attribute) || !is_attribute_name(attribute.spec.name)) {
      return "declares attribute '" + printable(attribute.spec.name, 80) + "' of no unit or row";
    }
  }
  for (const auto& command : declaration.commands) {
    if (!fits(command) || !is_command_name(command.spec.name)) {
      return "declares command '" + printable(command.spec.name, 80) + "' of no unit or row";
    }
  }
  return "";
}

std::vector<size_t> devices_of(const auto& items, const PluginConfig& plugin) {
  std::vector<size_t> devices;
  for (const auto& item : items) {
    // Without a row of its own it belongs to its unit.
    const uint32_t section = item.section != 0 ? item.section : plugin.instance.units[item.unit];
    devices.push_back(plugin.section_device[section]);
  }
  return devices;
}

void fail(PluginConfig& plugin, Origin& origin, const std::string& why, Problems& problems) {
  plugin.failed = why;
  origin.sound = false;
  problems.instance(origin.at, "plugin: '" + plugin.name + "' cannot run: " + why);
}

// Deadband and limits are for numbers.
void check_reports(const PluginConfig& plugin, const Origin& origin, Problems& problems) {
  for (const auto& attribute : plugin.declaration.attributes) {
    const auto& [key, at] = origin.sections[attribute.section].number_key;
    if (attribute.section == 0 || key.empty() || attribute.spec.type == DataType::Number) continue;
    problems.error(at, key + ": " + not_a_number(attribute.spec));
  }
  if (!plugin.instance.named_reports.empty()) {
    check_attributes(*origin.row, plugin.declaration, plugin.instance, problems);
  }
}

void declare(PluginConfig& plugin, Origin& origin, nanoseconds keepalive, PluginProbe& probe,
             Problems& problems) {
  auto verdict = probe.declare(plugin.type, plugin.instance);
  if (!verdict) return fail(plugin, origin, printable(verdict.error().message), problems);
  const size_t mark = problems.mark();
  for (const auto& complaint : verdict->complaints) {
    const uint32_t section = complaint.section < origin.sections.size() ? complaint.section : 0;
    problems.error(location_of(origin, section, complaint.option),
                   path_of(origin, section, complaint.option) + ": " + printable(complaint.text));
    origin.sound = false;
  }
  if (problems.kept()) plugin.failed = problems.demote(mark, Problem::Severity::Instance);
  if (!plugin.failed.empty()) return;
  if (const std::string why = nonsense(verdict->declaration, plugin.instance); !why.empty()) {
    return fail(plugin, origin, why, problems);
  }
  plugin.declaration = std::move(verdict->declaration);
  const size_t report_mark = problems.mark();
  check_reports(plugin, origin, problems);
  if (!plugin.instance.guards.empty()) {
    check_guards(*origin.row, keepalive, plugin, problems);
  }
  // What was kept has run: a plugin that changed since must not keep all of it from running.
  if (problems.kept()) problems.demote(report_mark, Problem::Severity::Warning);
  plugin.attribute_device = devices_of(plugin.declaration.attributes, plugin);
  plugin.command_device = devices_of(plugin.declaration.commands, plugin);
}

// ---- Names within a device.

// The option of `section` by which `name` came about; empty: it has no option for that.
std::string naming_option(const PluginConfig& plugin, const Origin& origin, uint32_t section,
                          const std::string& name) {
  for (const auto& [option, at] : origin.sections[section].options) {
    const auto it = plugin.instance.sections[section].values.find(option);
    if (it != plugin.instance.sections[section].values.end() && it->second == Value(name)) {
      return option;
    }
  }
  return "";
}

// Sees every name of one kind, attributes or commands, in the order of the configuration.
class NameTable {
 public:
  // `own`: how the agent's own names begin.
  NameTable(const Config& config, std::string kind, std::string_view own, Problems& problems)
      : config_(&config),
        kind_(std::move(kind)),
        own_(own),
        problems_(&problems),
        counts_(config.devices.size()),
        own_counts_(config.devices.size()),
        over_(config.devices.size()) {}

  // Before all others: a name that the agent itself has in this device.
  void add_own(const std::string& name, size_t device) {
    own_names_.emplace(device, name);
    ++own_counts_[device];
  }

  void add(const PluginConfig& plugin, const Origin& origin, const std::string& name,
           uint32_t section, size_t device) {
    const std::string option = naming_option(plugin, origin, section, name);
    const Location at = location_of(origin, section, option);
    const std::string path = path_of(origin, section, option);
    if (own_names_.contains(std::pair(device, name))) {
      problems_->error(at, path + ": '" + name + "' is " + kind_ + " of the agent's own");
    } else if (name.starts_with(own_)) {  // no error: it may be older than our use of such names
      problems_->warning(at, path + ": '" + name + "': names that begin with '" +
                                 std::string(own_) + "' are the agent's own");
    }
    const auto [it, first] = seen_.emplace(std::pair(device, name), at);
    if (!first) {
      // A name that stands elsewhere than its row was put there by a profile.
      const bool is_profile = !option.empty() && origin.sections[section].at.file != at.file;
      problems_->error(at, path + ": '" + name + "' is already " + kind_ + " of device '" +
                               config_->devices[device].name + "', by " + to_string(it->second) +
                               (is_profile ? "; a prefix beside profile tells them apart" : ""));
      return;
    }
    if (++counts_[device] == kMaxAttributes + 1) over_[device] = {at, path};
  }

  void check_counts() const {
    for (size_t device = 0; device < counts_.size(); ++device) {
      const std::string name = "device '" + config_->devices[device].name + "'";
      const std::string limit =
          " attributes; Losant takes at most " + std::to_string(kMaxAttributes);
      const int all = counts_[device] + own_counts_[device];
      if (counts_[device] > kMaxAttributes) {
        problems_->error(over_[device].first, over_[device].second + ": " + name + " would have " +
                                                  std::to_string(counts_[device]) + limit);
      } else if (all > kMaxAttributes) {  // no error: they fitted before there was [health]
        problems_->warning(config_->devices[device].location,
                           name + " has, with the agent's own, " + std::to_string(all) + limit +
                               "; [health] enabled = false leaves those out");
      }
    }
  }

 private:
  const Config* config_;
  std::string kind_;  // "an attribute"
  std::string_view own_;
  Problems* problems_;
  std::set<std::pair<size_t, std::string>> own_names_;
  std::map<std::pair<size_t, std::string>, Location> seen_;
  std::vector<int> counts_, own_counts_;                // by device
  std::vector<std::pair<Location, std::string>> over_;  // where it became too many
};

void check_names(const Config& config, const std::vector<Origin>& origins, Problems& problems) {
  NameTable attributes(config, "an attribute", kOwnAttributes, problems);
  NameTable commands(config, "a command", kOwnCommands, problems);
  for (size_t i = 0; i < config.devices.size(); ++i) {
    for (const AttributeSpec& spec : health_attributes(config, i)) attributes.add_own(spec.name, i);
  }
  for (const CommandSpec& spec : own_commands()) commands.add_own(spec.name, 0);
  for (size_t i = 0; i < config.plugins.size(); ++i) {
    const PluginConfig& plugin = config.plugins[i];
    for (size_t n = 0; n < plugin.attribute_device.size(); ++n) {
      const auto& attribute = plugin.declaration.attributes[n];
      attributes.add(plugin, origins[i], attribute.spec.name, attribute.section,
                     plugin.attribute_device[n]);
    }
    for (size_t n = 0; n < plugin.command_device.size(); ++n) {
      const auto& command = plugin.declaration.commands[n];
      commands.add(plugin, origins[i], command.spec.name, command.section,
                   plugin.command_device[n]);
    }
  }
  attributes.check_counts();
}

// ---- Buses.

std::string to_lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

// Without links, as far as it is there.
std::string real_path(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(path, error);
  return error ? path : real.string();
}

}  // namespace

std::string bus_of(const Value& value) {
  const auto* given = std::get_if<std::string>(&value);
  if (given == nullptr) return to_text(value);
  std::string text = given->substr(0, given->find('?'));
  const size_t scheme = text.find("://");
  const std::string path = scheme == std::string::npos ? text : text.substr(scheme + 3);
  if (path.starts_with('/')) return real_path(path);
  while (text.ends_with('/')) text.pop_back();
  return scheme == std::string::npos ? text : to_lower(text);
}

namespace {

void check_buses(const Config& config, const std::vector<Origin>& origins, Problems& problems) {
  std::map<std::string, size_t> taken;  // bus to index of the instance
  std::map<std::string, Location> where;
  for (size_t i = 0; i < config.plugins.size(); ++i) {
    for (uint32_t s = 0; s < origins[i].sections.size(); ++s) {
      const auto* specs = origins[i].sections[s].specs;
      if (specs == nullptr) continue;
      for (const OptionSpec& spec : *specs) {
        const auto& values = config.plugins[i].instance.sections[s].values;
        const auto value = values.find(spec.name);
        if (!spec.exclusive || value == values.end()) continue;
        const std::string bus = bus_of(value->second);
        const Location at = location_of(origins[i], s, spec.name);
        const auto [it, first] = taken.emplace(bus, i);
        where.emplace(bus, at);
        if (first || it->second == i) continue;
        problems.error(at, path_of(origins[i], s, spec.name) + ": " +
                               printable(to_text(value->second), 120) + " belongs to '" +
                               config.plugins[it->second].name + "' already, by " +
                               to_string(where[bus]) + "; one instance serves all units of a bus");
      }
    }
  }
}

// ---- Sockets of units.

void check_sockets(const Config& config, const std::vector<Origin>& origins, Problems& problems) {
  std::map<std::string, size_t> taken;  // path to index of the instance
  for (size_t i = 0; i < config.plugins.size(); ++i) {
    const std::string& socket = config.plugins[i].socket;
    if (socket.empty()) continue;
    const std::string words = "plugin.socket: '" + printable(socket) + "' ";
    const auto [it, first] = taken.emplace(real_path(socket), i);
    if (!first) {
      problems.error(origins[i].socket,
                     words + "is also used by '" + config.plugins[it->second].name + "', at " +
                         to_string(origins[it->second].socket) + "; a unit runs one instance");
    }
    // One that is not there may come with its unit.
    std::error_code error;
    const auto found = std::filesystem::status(socket, error);
    if (std::filesystem::exists(found) && !std::filesystem::is_socket(found)) {
      problems.warning(origins[i].socket, words + "is no socket");
    }
  }
}

}  // namespace

void declare_all(Config& config, std::vector<Origin>& origins, PluginProbe& probe,
                 Problems& problems) {
  for (size_t i = 0; i < config.plugins.size(); ++i) {
    if (!origins[i].sound) continue;
    declare(config.plugins[i], origins[i], config.uplink.keepalive, probe, problems);
  }
}

void check_across(const Config& config, const std::vector<Origin>& origins, Problems& problems) {
  const size_t mark = problems.mark();
  check_names(config, origins, problems);
  check_buses(config, origins, problems);
  check_sockets(config, origins, problems);
  if (problems.kept()) problems.demote(mark, Problem::Severity::Warning);
}

}  // namespace fieldpost
