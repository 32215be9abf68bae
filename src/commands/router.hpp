// SPDX-License-Identifier: Apache-2.0
//
// The way of a command: payload → device and name → the instance that declares it → arguments
// checked → call → outcome → answer and log. Knows neither MQTT nor processes; they are sinks.
// Main thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "model/command.hpp"
#include "model/message.hpp"

namespace fieldpost {

// Who runs a command. Unique by device and name.
struct CommandRoute {
  std::string device_id;    // Losant id
  std::string device_name;  // for people
  std::string instance;     // empty: the agent itself
  uint32_t index = 0;       // into the instance's declaration, or of the agent's own
  CommandSpec spec;
};

// What became of one command, for the log and the answer.
struct CommandReport {
  Json id;  // as the sender gave it; null if it did not
  std::string device_id;
  std::string device_name;  // empty if the device is unknown
  std::string name;         // empty if the payload could not be read
  std::string instance;     // empty if nobody was found, or the agent itself
  CommandStatus status = CommandStatus::Rejected;
  std::optional<Value> readback;
  std::string reason;  // why not done
};
Json to_json(const CommandReport& report);

struct CommandCounts {
  int64_t received = 0, done = 0, rejected = 0, failed = 0;
};

class CommandRouter {
 public:
  // Bytes. Losant carries no more, and the main thread must not parse a megabyte for each of a
  // thousand hostile ones.
  static constexpr size_t kMaxPayload = size_t{256} << 10;

  using Arguments = std::vector<std::optional<Value>>;
  struct Sinks {
    // Hands the call to the instance's host. An error's message becomes the reason of the failure.
    std::function<Result<>(const CommandRoute&, message::Call)> call;
    // Does what is the agent's own to do. None has the same payload as one that was done, if it
    // has an id or a time to tell by: QoS 1 may deliver twice.
    std::function<message::Outcome(const CommandRoute&, const Arguments&)> own;
    std::function<void(const CommandReport&)> report;
  };
  // `timeout` bounds the time between call and outcome.
  CommandRouter(nanoseconds timeout, Sinks sinks) : timeout_(timeout), sinks_(std::move(sinks)) {}

  // Replaces all routes; commands that are running keep theirs.
  void set_routes(std::vector<CommandRoute> routes);
  void set_timeout(nanoseconds timeout) { timeout_ = timeout; }

  // Never fails: whatever arrives is called, or reported as rejected.
  void on_command(const IncomingCommand& incoming, BootTime now);
  void on_outcome(const message::Outcome& outcome);
  // The instance's host is gone; what it was running has failed.
  void on_instance_down(std::string_view instance, std::string_view reason);
  // Reports what has timed out. To be called every second or so.
  void expire(BootTime now);

  const CommandCounts& counts() const { return counts_; }
  bool idle() const { return running_.empty(); }

 private:
  struct Running {
    CommandReport report;
    BootTime deadline;
  };
  const CommandRoute* find(const CommandReport& report) const;
  void run_own(const CommandRoute& route, const Arguments& arguments,
               const IncomingCommand& incoming, const Json& json, CommandReport report);
  void finish(CommandReport report, const message::Outcome& outcome);
  std::string why_not_found(const CommandReport& report) const;
  void finish(CommandReport report, CommandStatus status, std::string reason);

  nanoseconds timeout_;
  Sinks sinks_;
  std::vector<CommandRoute> routes_;
  std::map<uint64_t, Running> running_;
  uint64_t last_id_ = 0;
  std::deque<size_t> own_done_;  // hashes of payloads of the agent's own
  CommandCounts counts_;
};

// Fills `${device_id}` and `${device}` into an answer topic.
std::string fill_topic(std::string_view pattern, const CommandReport& report);

}  // namespace fieldpost
