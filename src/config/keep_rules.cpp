// SPDX-License-Identifier: Apache-2.0
#include "config/config.hpp"
#include "config/copies.hpp"
#include "config/own_names.hpp"

namespace fieldpost {

KeepRules keep_rules(const Config& config) {
  KeepRules rules;
  for (const PluginConfig& plugin : config.plugins) {
    const auto& attributes = plugin.declaration.attributes;
    for (size_t i = 0; i < attributes.size(); ++i) {
      const DeviceConfig& device = config.devices[plugin.attribute_device[i]];
      const std::string& attribute = attributes[i].spec.name;
      const Keep keep = plugin.section_keep[attributes[i].section];
      rules[{device.id, attribute}] = keep;
      for (const PublishConfig& entry : config.publishes) {
        if (!selects(entry, device.name, attribute)) continue;
        rules[{copy_of(entry, device.name, attribute), attribute}] = keep;
      }
    }
  }
  // What was said of a device is worth less than what it measured.
  for (size_t i = 0; i < config.devices.size(); ++i) {
    for (const AttributeSpec& spec : health_attributes(config, i)) {
      rules[{config.devices[i].id, spec.name}] = Keep::Newest;
    }
  }
  return rules;
}

}  // namespace fieldpost
