// SPDX-License-Identifier: Apache-2.0
#include "config/instances.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "config/options.hpp"
#include "config/profiles.hpp"
#include "config/sections.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMaxInstances = 1000;

// Everything about an instance that does not depend on its neighbours.
class InstanceReader {
 public:
  InstanceReader(const Config& config, Plugins& plugins, Profiles& profiles, Problems& problems)
      : config_(&config), plugins_(&plugins), profiles_(&profiles), problems_(&problems) {}

  std::pair<PluginConfig, Origin> read(const Node& row) {
    const size_t errors = problems_->errors();
    const size_t mark = problems_->mark();
    PluginConfig plugin;
    Origin origin{.at = row.at,
                  .name = value_at(row, "name"),
                  .type = value_at(row, "type"),
                  .socket = value_at(row, "socket")};
    PluginRow core;
    read_options(row, find_section("plugin")->options, &core, "plugin", false, *problems_);
    plugin.name = plugin.instance.name = core.name;
    plugin.type = core.type;
    plugin.socket = core.socket;
    plugin.instance.interval = core.interval;
    plugin.instance.align = core.align;
    plugin.instance.deadline = core.deadline;
    plugin.instance.sandbox.on = core.sandbox != "off";
    if (!plugin.instance.sandbox.on) {
      problems_->warning(value_at(row, "sandbox"),
                         "plugin.sandbox: '" + core.name +
                             "' runs without a sandbox: it may read the credentials, and use the "
                             "network");
    }
    size_t device = 0;
    if (const Member* given = row.find("device"); given != nullptr && is_text(given->value)) {
      device = find_device(core.device, given->value.at, "plugin.device", *config_, *problems_);
    }
    if (!core.type.empty()) read_sections(row, device, core, plugin, origin);
    if (problems_->kept()) {
      const std::string why = problems_->demote(mark, Problem::Severity::Instance);
      if (!why.empty()) fail(row, plugin, origin, device, why);
    }
    origin.sound = problems_->errors() == errors && plugin.failed.empty();
    return {std::move(plugin), std::move(origin)};
  }

 private:
  void read_sections(const Node& row, size_t device, const PluginRow& core, PluginConfig& plugin,
                     Origin& origin) {
    const Result<PluginInfo>& info = plugins_->describe(plugin.type);
    Result<> read;
    if (info) {
      plugin.instance.sandbox.needs = info->needs;
      read = SectionReader(*info, *config_, plugin, origin, *profiles_, *problems_)
                 .read(row, device, core);
      if (read) return;
    }
    fail(row, plugin, origin, device, info ? read.error().message : info.error().message);
    problems_->instance(origin.type, "plugin.type: " + plugin.failed);
  }

  // Leaves nothing of what the plugin was to be told, but whose it would have been: an empty
  // section for each device.
  void fail(const Node& row, PluginConfig& plugin, Origin& origin, size_t device,
            const std::string& why) const {
    std::vector<size_t> devices{device};
    find_devices(row, devices);
    plugin.failed = why;
    plugin.instance.sections.assign(devices.size(), ConfigSection{});
    plugin.instance.units = {0};
    plugin.section_keep.assign(devices.size(), Keep::Thin);
    plugin.instance.reports.assign(devices.size(), ReportRule());
    plugin.instance.named_reports.clear();
    plugin.instance.guards.clear();
    plugin.section_device = std::move(devices);
    plugin.unit_names = {plugin.name};
    origin.sections.assign(plugin.section_device.size(), {.at = origin.at, .path = "plugin"});
  }

  // Those that the rows below this one name; what their tables are nobody knows.
  void find_devices(const Node& row, std::vector<size_t>& found) const {
    for (const Member& member : row.members) {
      if (member.value.kind != Node::Kind::Rows) continue;
      for (const Node& item : member.value.items) {
        const Member* given = item.find("device");
        if (given != nullptr && is_text(given->value)) {
          const auto& name = std::get<std::string>(given->value.value);
          const auto it = std::ranges::find(config_->devices, name, &DeviceConfig::name);
          const auto index = static_cast<size_t>(it - config_->devices.begin());
          if (it != config_->devices.end() && std::ranges::find(found, index) == found.end())
            found.push_back(index);
        }
        find_devices(item, found);
      }
    }
  }

  const Config* config_;
  Plugins* plugins_;
  Profiles* profiles_;
  Problems* problems_;
};

}  // namespace

Location location_of(const Origin& origin, uint32_t section, const std::string& option) {
  const Origin::Part& part = origin.sections[section];
  const auto it = part.options.find(option);
  return it == part.options.end() ? part.at : it->second;
}

std::string path_of(const Origin& origin, uint32_t section, const std::string& option) {
  const std::string& path = origin.sections[section].path;
  if (!option.empty()) return join(path, printable(option, 80));
  return section == 0 ? "plugin" : path;
}

const Result<PluginInfo>& Plugins::describe(const std::string& type) {
  if (const auto it = known_.find(type); it != known_.end()) return it->second;
  Result<PluginInfo> info = probe_->describe(type);
  if (!info && info.error().code == Errc::NotFound) {
    info = Error{Errc::NotFound, not_installed(type)};
  } else if (!info) {
    info = Error{info.error().code, "'" + type + "': " + printable(info.error().message)};
  }
  return known_.emplace(type, std::move(info)).first->second;
}

std::string Plugins::not_installed(const std::string& type) {
  if (!types_) types_ = probe_->types();
  const std::vector<std::string_view> names(types_->begin(), types_->end());
  return "'" + type + "' is not installed" + did_you_mean(type, names);
}

size_t find_device(const std::string& name, const Location& at, const std::string& path,
                   const Config& config, Problems& problems) {
  const auto& devices = config.devices;
  const auto it = std::ranges::find(devices, name, &DeviceConfig::name);
  if (it != devices.end()) return static_cast<size_t>(it - devices.begin());
  if (problems.incomplete()) return 0;
  std::vector<std::string_view> names;
  names.reserve(devices.size());
  for (const DeviceConfig& device : devices) names.emplace_back(device.name);
  problems.error(at, path + ": no [[device]] is called '" + printable(name, 80) + "'" +
                         did_you_mean(name, names));
  return 0;
}

void read_devices(const Node& root, Config& config, Problems& problems) {
  const CoreSection& section = *find_section("device");
  const Member* gateway = root.find("gateway");
  config.devices.push_back({config.gateway.name, config.gateway.device_id,
                            config.gateway.flow_version,
                            gateway == nullptr ? root.at : gateway->value.at});
  for (const Node& row : rows_of(root, "device")) {
    DeviceConfig device;
    refuse_unknown(row, section.name, names_of(section.options), problems);
    read_options(row, section.options, &device, section.name, false, problems);
    device.location = row.at;
    for (const DeviceConfig& other : config.devices) {
      if (!device.name.empty() && device.name == other.name) {
        problems.error(
            value_at(row, "name"),
            "device.name: '" + device.name + "' is already used at " + to_string(other.location));
      }
      if (!device.id.empty() && device.id == other.id) {
        problems.error(value_at(row, "id"), "device.id: '" + device.id + "' is already used at " +
                                                to_string(other.location));
      }
    }
    config.devices.push_back(std::move(device));
  }
}

std::vector<Origin> read_instances(const Node& root, Config& config, Plugins& plugins,
                                   Profiles& profiles, Problems& problems) {
  std::vector<Origin> origins;
  std::map<std::string, Location> names;
  InstanceReader reader(config, plugins, profiles, problems);
  for (const Node& row : rows_of(root, "plugin")) {
    if (origins.size() == kMaxInstances) {
      problems.error(row.at,
                     "plugin: expected at most " + std::to_string(kMaxInstances) + " instances");
      break;
    }
    auto [plugin, origin] = reader.read(row);
    const auto [it, first] = names.emplace(plugin.name, origin.name);
    if (!first && !plugin.name.empty()) {
      problems.error(origin.name, "plugin.name: '" + plugin.name + "' is already used at " +
                                      to_string(it->second));
      origin.sound = false;
    }
    config.plugins.push_back(std::move(plugin));
    origins.push_back(std::move(origin));
  }
  return origins;
}

}  // namespace fieldpost
