// SPDX-License-Identifier: Apache-2.0
#include "config/config.hpp"

namespace fieldpost {

KeepRules keep_rules(const Config& config) {
  KeepRules rules;
  for (const PluginConfig& plugin : config.plugins) {
    const auto& attributes = plugin.declaration.attributes;
    for (size_t i = 0; i < attributes.size(); ++i) {
      const DeviceConfig& device = config.devices[plugin.attribute_device[i]];
      rules[{device.id, attributes[i].spec.name}] = plugin.section_keep[attributes[i].section];
    }
  }
  return rules;
}

}  // namespace fieldpost
