// SPDX-License-Identifier: Apache-2.0
#include "config/diff.hpp"

#include <map>
#include <set>
#include <string>

namespace fieldpost {
namespace {

enum class Change : uint8_t { None, Mapping, Restart };

std::vector<std::string> ids_of(const std::vector<size_t>& indices, const Config& config) {
  std::vector<std::string> ids;
  ids.reserve(indices.size());
  for (const size_t index : indices) ids.push_back(config.devices[index].id);
  return ids;
}

// What is to be hidden from it is the supervisor's to judge: it knows what is already.
bool same_but_hidden(const InstanceConfig& a, InstanceConfig b) {
  b.sandbox.hidden = a.sandbox.hidden;
  return a == b;
}

Change compare(const PluginConfig& a, const Config& before, const PluginConfig& b,
               const Config& after) {
  if (a.type != b.type || a.socket != b.socket || !same_but_hidden(a.instance, b.instance) ||
      a.declaration != b.declaration || a.failed != b.failed) {
    return Change::Restart;
  }
  // Indices mean something else when devices were added or moved; ids do not.
  const bool same = ids_of(a.attribute_device, before) == ids_of(b.attribute_device, after) &&
                    ids_of(a.command_device, before) == ids_of(b.command_device, after) &&
                    ids_of(a.section_device, before) == ids_of(b.section_device, after) &&
                    a.section_keep == b.section_keep && a.unit_names == b.unit_names;
  return same ? Change::None : Change::Mapping;
}

std::map<std::string, size_t> by_name(const Config& config) {
  std::map<std::string, size_t> names;
  for (size_t i = 0; i < config.plugins.size(); ++i) names.emplace(config.plugins[i].name, i);
  return names;
}

std::set<std::pair<std::string, std::string>> names_and_ids(const Config& config) {
  std::set<std::pair<std::string, std::string>> devices;
  for (const DeviceConfig& device : config.devices) devices.emplace(device.name, device.id);
  return devices;
}

}  // namespace

bool ConfigDiff::empty() const {
  return added.empty() && removed.empty() && changed.empty() && remapped.empty() && !gateway &&
         !uplink && !outbox && !clock && !commands && !health && !custom && !devices;
}

ConfigDiff diff(const Config& before, const Config& after) {
  ConfigDiff found;
  const auto old_names = by_name(before);
  const auto new_names = by_name(after);
  for (size_t i = 0; i < before.plugins.size(); ++i) {
    if (!new_names.contains(before.plugins[i].name)) found.removed.push_back(i);
  }
  for (size_t i = 0; i < after.plugins.size(); ++i) {
    const auto it = old_names.find(after.plugins[i].name);
    if (it == old_names.end()) {
      found.added.push_back(i);
      continue;
    }
    const ConfigDiff::Pair pair{it->second, i};
    switch (compare(before.plugins[pair.before], before, after.plugins[pair.after], after)) {
      case Change::None:
        found.unchanged.push_back(pair);
        break;
      case Change::Mapping:
        found.remapped.push_back(pair);
        break;
      case Change::Restart:
        found.changed.push_back(pair);
    }
  }
  found.gateway = before.gateway != after.gateway;
  found.uplink = before.uplink != after.uplink;
  found.outbox = before.outbox != after.outbox;
  found.clock = before.clock != after.clock;
  found.commands = before.commands != after.commands;
  found.health = before.health != after.health;
  found.custom = before.publishes != after.publishes || before.subscribes != after.subscribes;
  found.devices = names_and_ids(before) != names_and_ids(after);
  return found;
}

}  // namespace fieldpost
