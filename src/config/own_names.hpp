// SPDX-License-Identifier: Apache-2.0
//
// The attributes and commands that are the agent's own: what it says of itself upstream, and what
// it can be told from there. docs/health.md says what they mean.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "config/config.hpp"

namespace fieldpost {

// How they begin. Nobody else should use such names.
inline constexpr std::string_view kOwnAttributes = "fp_";
inline constexpr std::string_view kOwnCommands = "fp-";

// What is reported of a device, in the order of the reports: nothing where [health] is off, nor of
// a peripheral that no plugin serves, as nobody knows how it is.
std::span<const AttributeSpec> health_attributes(const Config& config, size_t device);
// The index of the first in that order; what follows stands in the same.
enum class GatewayHealth : uint8_t {
  Version,
  Uptime,
  OutboxAge,
  OutboxBytes,
  Lost,
  DiskDay,
  Clock,
  PluginsBad,
  LastError
};
enum class PeripheralHealth : uint8_t { Online, Error };

// Of the gateway's own device.
enum class OwnCommand : uint8_t { Status, RestartPlugin, Reload };
std::span<const CommandSpec> own_commands();  // by the value of OwnCommand
// Empty if it is taken; else the option of [commands] that switches it off.
std::string_view switched_off_by(const CommandsConfig& config, OwnCommand command);

}  // namespace fieldpost
