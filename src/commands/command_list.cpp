// SPDX-License-Identifier: Apache-2.0
#include "commands/command_list.hpp"

#include <string>

namespace fieldpost {
namespace {

void put(Json& json, const char* key, const std::string& text) {
  if (!text.empty()) json[key] = text;
}

Json to_json(const OptionSpec& argument) {
  Json json{{"name", argument.name},
            {"expected", expected_form(argument)},
            {"required", argument.required}};
  if (argument.fallback) json["default"] = *argument.fallback;
  put(json, "unit", argument.unit);
  put(json, "help", argument.help);
  return json;
}

}  // namespace

std::vector<CommandRoute> routes_of(const Config& config) {
  std::vector<CommandRoute> routes;
  for (const PluginConfig& plugin : config.plugins) {
    const auto& commands = plugin.declaration.commands;
    for (uint32_t i = 0; i < commands.size(); ++i) {
      const DeviceConfig& device = config.devices[plugin.command_device[i]];
      routes.push_back({device.id, device.name, plugin.name, i, commands[i].spec});
    }
  }
  return routes;
}

Json to_json(const CommandRoute& route) {
  Json json{{"device", route.device_name},
            {"device_id", route.device_id},
            {"command", route.spec.name},
            {"idempotent", route.spec.idempotent},
            {"arguments", Json::array()}};
  put(json, "instance", route.instance);
  put(json, "output", route.spec.output);
  put(json, "readback", route.spec.readback);
  put(json, "help", route.spec.help);
  for (const OptionSpec& argument : route.spec.args) {
    json["arguments"].push_back(to_json(argument));
  }
  return json;
}

}  // namespace fieldpost
