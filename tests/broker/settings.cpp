// SPDX-License-Identifier: Apache-2.0
#include "broker/settings.hpp"

#include <nlohmann/json.hpp>

#include <fstream>
#include <stdexcept>

namespace fieldpost::losant {

Settings read_settings(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error("cannot open '" + file + "'");
  const auto json = nlohmann::json::parse(in);
  Settings settings{.record = json.at("record"),
                    .keys = json.at("keys"),
                    .platform_user = json.at("platform").at("user"),
                    .platform_password = json.at("platform").at("password"),
                    .topics = json.value("topics", std::vector<std::string>{}),
                    .unlimited = json.value("unlimited", false),
                    .time_scale = json.value("time_scale", 1.0)};
  // Devices have the form of `fieldpost attributes --json`.
  for (const auto& device : json.at("devices")) {
    settings.devices[device.at("deviceId")] = {.gateway = device.value("gatewayId", "")};
  }
  return settings;
}

}  // namespace fieldpost::losant
