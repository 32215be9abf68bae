// SPDX-License-Identifier: Apache-2.0
//
// The nouns of the way down.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/value.hpp"

namespace fieldpost {

// What became of a command.
enum class CommandStatus : uint8_t { Done, Rejected, Failed };
std::string_view name_of(CommandStatus status);  // "done", "rejected", "failed"

// A command as it arrived: not parsed, not trusted.
struct IncomingCommand {
  std::string device_id;  // from the topic
  std::string payload;    // at most 1 MiB
};

// A message on a topic of [[subscribe]], as it arrived.
struct IncomingMessage {
  std::string topic;
  std::string payload;  // at most 1 MiB
};

// A message to publish that is not state: an answer.
struct Publication {
  std::string topic;
  std::string payload;
};

}  // namespace fieldpost
