// SPDX-License-Identifier: Apache-2.0
//
// What became of a command, as `fieldpost command` and `fieldpost write` say it.
#pragma once

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "cli/client.hpp"

namespace fieldpost::cli {

// "done, value 21.5", "rejected: argument 'value': expected …".
std::string outcome_words(const Json& outcome);

// Has the agent run a command, as if it had come from the broker, and waits for the outcome
// (docs/control-protocol.md). Errors: as of ControlClient::ask(); Timeout says what is not known.
Result<Json> run_by_agent(ControlClient& agent, const std::string& device, const std::string& name,
                          const Json& payload, nanoseconds limit);

}  // namespace fieldpost::cli
