// SPDX-License-Identifier: Apache-2.0
//
// [[plugin.guard]]: what holds for outputs, by the command that drives each. The same keys for
// every plugin; one that has a table of that name itself has no such guards.
#pragma once

#include <span>
#include <vector>

#include "config/config.hpp"
#include "config/node.hpp"
#include "config/problems.hpp"
#include "config/tables.hpp"
#include "model/guard_rule.hpp"

namespace fieldpost {

inline constexpr const char* kGuardTable = "guard";

std::span<const CoreOption> guard_options();

// The rows of that table in `plugin`, without `safe`, whose type only the command knows.
std::vector<GuardRule> read_guards(const Node& plugin, Problems& problems);
// After the plugin has declared its commands: reports what cannot be held to, and reads `safe`.
void check_guards(const Node& row, nanoseconds keepalive, PluginConfig& plugin, Problems& problems);

}  // namespace fieldpost
