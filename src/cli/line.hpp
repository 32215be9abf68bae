// SPDX-License-Identifier: Apache-2.0
//
// Reading over a line, whoever has it: an agent that runs here reads for us, in turn with its own
// polls; otherwise we take the line.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "cli/paths.hpp"
#include "config/config.hpp"
#include "supervisor/one_reading.hpp"

namespace fieldpost::cli {

// One that can run here (can_run_here()), with what it declares; polled once, or until the reading
// is complete where it is opened here. Errors: as of read_once(); Unavailable also where the agent
// has the line and its instance is down.
Result<OneReading> read_wherever(const Paths& paths, const PluginConfig& plugin, nanoseconds limit);

// The part of a configuration that one of its units needs, by index; exposed for tests.
InstanceConfig only_unit(const InstanceConfig& config, size_t unit);

// Who a host of ours runs as: the service's user, where we are root and there is one, so that it
// may no more than it may there, and finds out what it may not. Empty: as we are.
std::string host_user(const Paths& paths);

}  // namespace fieldpost::cli
