// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "model/message.hpp"

namespace fieldpost {

// What an instance reads when it is opened, polled once and closed.
struct OneReading {
  Declaration declaration;
  std::vector<std::optional<Reading>> attributes;  // the newest of each, as declared
  std::vector<std::optional<std::string>> silent;  // of each unit that did not answer: why
  // Nothing more is to come: each unit did not answer, or has brought each of its attributes.
  bool complete() const;
};

// Runs a host of its own, as `user` (start_host()), and waits until the reading is complete, but
// not beyond `limit`: some attributes need two polls, and events may never come. Whoever has the
// bus already is not disturbed: the plugin finds it locked. Errors: Invalid (the plugin cannot run,
// or brings what it has not declared), Unavailable (the device is not there, or is in use), Timeout
// (it has not even opened), Io.
Result<OneReading> read_once(const std::string& plugin_host, const std::string& file,
                             const InstanceConfig& config, nanoseconds limit,
                             const std::string& user = "");

// Likewise, but has the plugin run commands, one after the other up to the first that is not done:
// an outcome for each that was begun, within `limit` each; Uncertain where none came. `declared` is
// what their indices count in. The plugin is closed then, with what that means for its outputs.
// Errors: as above, before any was begun.
Result<std::vector<message::Outcome>> run_once(const std::string& plugin_host,
                                               const std::string& file,
                                               const InstanceConfig& config,
                                               const Declaration& declared,
                                               std::vector<message::Call> calls, nanoseconds limit,
                                               const std::string& user = "");

}  // namespace fieldpost
