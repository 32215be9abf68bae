// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iostream>

#include "base/json.hpp"
#include "cli/cli.hpp"
#include "config/load.hpp"
#include "config/own_names.hpp"
#include "supervisor/probe.hpp"

namespace fieldpost::cli {
namespace {

Loaded load(const Call& call) {
  Probe probe(call.paths.plugin_host, call.paths.plugin_dir);
  return load_config(call.words.empty() ? call.paths.config : call.words[0], probe);
}

// "1 device", "2 devices".
std::string count(size_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

// On stderr, so that stdout stays what was asked for.
void print_problems(const Loaded& loaded, const std::function<std::string(std::string)>& name) {
  for (const Problem& p : loaded.problems) {
    std::cerr << (name ? name(to_string(p)) : to_string(p)) << "\n";
  }
}

// What the problems mean for a start; false if there are none but warnings.
bool judge(const Loaded& loaded) {
  const auto number = [&](Problem::Severity severity) {
    return static_cast<size_t>(std::ranges::count(loaded.problems, severity, &Problem::severity));
  };
  if (const size_t errors = number(Problem::Severity::Error); errors > 0) {
    (void)fail(count(errors, "error") + ": this configuration will not be used");
  } else if (number(Problem::Severity::Instance) > 0) {
    (void)fail("this configuration can be used, but not what is named above");
  } else {
    return false;
  }
  return true;
}

Json to_json(const AttributeSpec& spec) {
  Json attribute{{"name", spec.name}, {"dataType", name_of(spec.type)}};
  std::string about = spec.help;
  if (!spec.unit.empty()) about += (about.empty() ? "in " : ", in ") + spec.unit;
  if (!about.empty()) attribute["description"] = about;
  return attribute;
}

Json schema_of(const Config& config, size_t device) {
  Json attributes = Json::array();
  for (const PluginConfig& plugin : config.plugins) {
    for (size_t i = 0; i < plugin.declaration.attributes.size(); ++i) {
      if (plugin.attribute_device[i] != device) continue;
      attributes.push_back(to_json(plugin.declaration.attributes[i].spec));
    }
  }
  for (const AttributeSpec& spec : health_attributes(config, device)) {
    attributes.push_back(to_json(spec));
  }
  Json schema{{"deviceId", config.devices[device].id},
              {"name", config.devices[device].name},
              {"deviceClass", device == 0 ? "gateway" : "peripheral"},
              {"attributes", std::move(attributes)}};
  if (device != 0) schema["gatewayId"] = config.devices[0].id;
  return schema;
}

}  // namespace

bool is_fine(const Loaded& loaded, const std::function<std::string(std::string)>& name) {
  print_problems(loaded, name);
  return !judge(loaded);
}

int check(const Call& call) {
  const Loaded loaded = load(call);
  if (!is_fine(loaded)) return kConfig;
  size_t attributes = 0;
  size_t commands = 0;
  for (const PluginConfig& plugin : loaded.config.plugins) {
    attributes += plugin.declaration.attributes.size();
    commands += plugin.declaration.commands.size();
  }
  std::string brokers;
  for (const BrokerAddress& broker : loaded.config.uplink.brokers) {
    brokers += (brokers.empty() ? "" : " or ") + broker.url;
  }
  std::cout << "fine: " << count(loaded.config.devices.size(), "device") << ", "
            << count(loaded.config.plugins.size(), "plugin") << ", "
            << count(attributes, "attribute") << ", " << count(commands, "command") << ", upstream "
            << brokers << "\n";
  return 0;
}

int attributes(const Call& call) {
  const Loaded loaded = load(call);
  print_problems(loaded, {});
  if (!loaded.usable()) return kConfig;
  Json all = Json::array();
  for (size_t i = 0; i < loaded.config.devices.size(); ++i) {
    all.push_back(schema_of(loaded.config, i));
  }
  if (call.json()) {
    std::cout << all.dump(2) << "\n";
    return 0;
  }
  for (const Json& device : all) {
    std::cout << device["name"].get<std::string>() << " (" << device["deviceId"].get<std::string>()
              << ")\n";
    if (device["attributes"].empty()) std::cout << "  nothing is published for it\n";
    for (const Json& a : device["attributes"]) {
      std::cout << "  " << a["name"].get<std::string>() << ": " << a["dataType"].get<std::string>()
                << (a.contains("description") ? "  # " + a["description"].get<std::string>() : "")
                << "\n";
    }
  }
  return 0;
}

}  // namespace fieldpost::cli
