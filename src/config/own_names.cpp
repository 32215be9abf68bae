// SPDX-License-Identifier: Apache-2.0
#include "config/own_names.hpp"

#include <algorithm>
#include <array>

namespace fieldpost {
namespace {

using enum DataType;

const std::array<AttributeSpec, 9>& of_gateway() {
  static const std::array<AttributeSpec, 9> specs = {{
      {.name = "fp_version", .type = String, .help = "Version of the agent"},
      {.name = "fp_uptime", .type = Number, .unit = "s", .help = "How long the agent has run"},
      {.name = "fp_outbox_age",
       .type = Number,
       .unit = "s",
       .help = "Age of the oldest reading that waits on the disk"},
      {.name = "fp_outbox_bytes",
       .type = Number,
       .unit = "bytes",
       .help = "What the outbox takes of the disk"},
      {.name = "fp_lost",
       .type = Number,
       .unit = "readings",
       .help = "Readings that will never arrive, since the agent's start"},
      {.name = "fp_disk_day",
       .type = Number,
       .unit = "bytes",
       .help = "What the outbox has written to the disk in the last 24 h"},
      {.name = "fp_clock", .type = String, .help = "synchronised, not synchronised, or estimated"},
      {.name = "fp_plugins_bad",
       .type = Number,
       .help = "Plugins that do not run, or with a device that does not answer"},
      {.name = "fp_last_error", .type = String, .help = "What went wrong last"},
  }};
  return specs;
}

const std::array<AttributeSpec, 2>& of_peripheral() {
  static const std::array<AttributeSpec, 2> specs = {{
      {.name = "fp_online", .type = Boolean, .help = "Whether the device answers"},
      {.name = "fp_error", .type = String, .help = "What is wrong with it; empty: nothing"},
  }};
  return specs;
}

}  // namespace

std::span<const AttributeSpec> health_attributes(const Config& config, size_t device) {
  if (!config.health.enabled) return {};
  if (device == 0) return of_gateway();
  const bool served = std::ranges::any_of(config.plugins, [&](const PluginConfig& plugin) {
    return std::ranges::find(plugin.section_device, device) != plugin.section_device.end();
  });
  if (!served) return {};
  return of_peripheral();
}

std::span<const CommandSpec> own_commands() {
  static const std::array<CommandSpec, 3> specs = {{
      {.name = "fp-status", .help = "Reports the health of all devices now."},
      {.name = "fp-restart-plugin",
       .help = "Restarts an instance.",
       .args = {{.name = "plugin", .required = true, .help = "The name of the instance."}}},
      {.name = "fp-reload", .help = "Reads the configuration again."},
  }};
  return specs;
}

std::string_view switched_off_by(const CommandsConfig& config, OwnCommand command) {
  switch (command) {
    case OwnCommand::Status:
      return config.status ? "" : "status";
    case OwnCommand::RestartPlugin:
      return config.restart_plugin ? "" : "restart_plugin";
    case OwnCommand::Reload:
      break;
  }
  return config.reload ? "" : "reload";
}

}  // namespace fieldpost
