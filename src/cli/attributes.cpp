// SPDX-License-Identifier: Apache-2.0
#include "cli/attributes.hpp"

#include <iostream>

#include "base/json.hpp"
#include "cli/cli.hpp"
#include "config/load.hpp"
#include "config/own_names.hpp"
#include "supervisor/probe.hpp"

namespace fieldpost::cli {
namespace {

Json to_json(const AttributeSpec& spec) {
  Json attribute{{"name", spec.name}, {"dataType", name_of(spec.type)}};
  std::string about = spec.help;
  if (about.ends_with('.')) about.pop_back();
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

Json schemas_of(const Config& config) {
  Json all = Json::array();
  for (size_t i = 0; i < config.devices.size(); ++i) all.push_back(schema_of(config, i));
  return all;
}

}  // namespace

void print_attributes(const Config& config) {
  for (const Json& device : schemas_of(config)) {
    std::cout << device["name"].get<std::string>() << " (" << device["deviceId"].get<std::string>()
              << ")\n";
    if (device["attributes"].empty()) std::cout << "  nothing is published for it\n";
    for (const Json& a : device["attributes"]) {
      std::cout << "  " << a["name"].get<std::string>() << ": " << a["dataType"].get<std::string>()
                << (a.contains("description") ? "  # " + a["description"].get<std::string>() : "")
                << "\n";
    }
  }
}

int attributes(const Call& call) {
  const Loaded loaded = load(call);
  print_problems(loaded);
  if (!loaded.usable()) return kConfig;
  if (call.json()) {
    std::cout << schemas_of(loaded.config).dump(2) << "\n";
  } else {
    print_attributes(loaded.config);
  }
  return 0;
}

}  // namespace fieldpost::cli
