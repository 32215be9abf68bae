// SPDX-License-Identifier: Apache-2.0
//
// What can be commanded here, as the control protocol and the command line show it.
#pragma once

#include <vector>

#include "base/json.hpp"
#include "commands/router.hpp"
#include "config/config.hpp"

namespace fieldpost {

// Of each plugin of a configuration that can run: as a running agent has them, without its own.
std::vector<CommandRoute> routes_of(const Config& config);

// device, device_id, command, instance (missing: the agent itself), output, readback, help,
// idempotent, and of each argument name, expected, required, default, unit, help; of what the
// plugin says nothing of, nothing.
Json to_json(const CommandRoute& route);

}  // namespace fieldpost
