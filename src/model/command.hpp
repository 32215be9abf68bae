// SPDX-License-Identifier: Apache-2.0
//
// The nouns of the way down.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "model/value.hpp"

namespace fieldpost {

// How far a command has come; from Done on that is the end of it. The numbers are in the files of
// store/command_log.hpp, which another version may read after an upgrade: new ones come last.
enum class CommandStatus : uint8_t {
  Received,  // noted
  Accepted,  // it is right, and handed to who runs it: from here on it may have taken effect
  Done,
  Rejected,  // it was not run
  Failed,
  Expired,    // its time passed before it could be run
  Unknown,    // it may have taken effect: nobody said so, or the agent ended while it was running
  Duplicate,  // it was not run: it is the one that came before
};
std::string_view name_of(CommandStatus status);  // "received", …
constexpr bool is_final(CommandStatus status) { return status >= CommandStatus::Done; }

// A command as it arrived: not parsed, not trusted.
struct IncomingCommand {
  std::string device_id;  // from the topic
  std::string payload;    // at most 1 MiB
  std::string topic;      // where it came
  BootTime received{};
  uint64_t number = 0;  // in the command log; 0: it is not in there
  uint64_t asker = 0;   // who at this machine waits for the outcome; 0: nobody

  // Somebody at this machine wants it.
  bool is_local() const { return topic == kLocal; }
  static constexpr std::string_view kLocal = "#local";  // as their topic: none can be called so
};

// A message on a topic of [[subscribe]], as it arrived.
struct IncomingMessage {
  std::string device_id;  // who subscribed: the gateway
  std::string topic;
  std::string payload;  // at most 1 MiB
  BootTime received{};
};

// A message to publish that is not state: an answer.
struct Publication {
  std::string topic;
  std::string payload;
};

}  // namespace fieldpost
