// SPDX-License-Identifier: Apache-2.0
//
// What an instance reads, from whoever can tell: the running agent, if that has it; otherwise a
// host of our own, for which no agent is needed.
#pragma once

#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "cli/paths.hpp"
#include "config/config.hpp"

namespace fieldpost::cli {

// In the form of the agent's status (docs/control-protocol.md).
struct InstanceAnswer {
  Json units = Json::array(), attributes = Json::array();
  // Every unit answered, and every attribute has a good value.
  bool is_good() const;
};

// The status of the agent that runs here; nothing if none does. Errors: one runs that does not
// answer, or not to us.
Result<std::optional<Json>> agent_status(const Paths& paths);

// What the agent with this status has of it; nothing if it does not have the instance. Errors:
// Unavailable (it does not run, and why).
Result<std::optional<InstanceAnswer>> answer_in(const Json& status, const std::string& instance);

// By its name; valid as long as the configuration. Errors: NotFound, with the nearest name.
Result<const PluginConfig*> find_plugin(const Config& config, const std::string& name);

// Whether a host of our own may open it. Errors: Invalid (it failed the check, or is a unit of its
// own).
Result<> can_run_here(const PluginConfig& plugin);

// Opens the plugin, polls once, closes it. Errors: as of read_once(); Invalid for one that cannot
// run so: it failed the check, is a unit of its own, or has outputs, which opening it may drive.
enum class Outputs : uint8_t { Spared, MayBeDriven };
Result<InstanceAnswer> read_here(const Paths& paths, const Config& config,
                                 const PluginConfig& plugin, nanoseconds limit, Outputs outputs);

// "21.5 degC, 3 s ago", "comm-error (no answer)", "nothing came".
std::string words_of(const Json& attribute);

}  // namespace fieldpost::cli
