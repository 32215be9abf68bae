// SPDX-License-Identifier: Apache-2.0
//
// The way of a command: payload → not one that ran before, not too old → device and name → the
// instance that declares it → arguments checked → call → outcome → answer and log. Knows neither
// MQTT nor processes; they are sinks. Main thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "commands/envelope.hpp"
#include "commands/history.hpp"
#include "config/config.hpp"
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

CommandStatus status_of(message::Outcome::Status outcome);

// What became of one command, for the log and the answer.
struct CommandReport {
  uint64_t number = 0;  // of the command in the log
  Json id;              // as the sender gave it; null if it did not
  std::string device_id;
  std::string device_name;  // empty if the device is unknown
  std::string name;         // empty if the payload could not be read
  std::string instance;     // empty if nobody was found, or the agent itself
  std::string identity;     // commands/envelope.hpp
  BootTime came{};
  CommandStatus status = CommandStatus::Rejected;
  std::optional<Value> readback;
  std::string reason;  // why not done
  bool local = false;  // somebody at this machine wanted it
  uint64_t asker = 0;  // as IncomingCommand has it
};
Json to_json(const CommandReport& report);
CommandHistory::Entry entry_of(const CommandReport& report);

struct CommandCounts {
  int64_t received = 0, done = 0, rejected = 0, failed = 0, expired = 0, unknown = 0, duplicate = 0;
};

class CommandRouter {
 public:
  using Arguments = std::vector<std::optional<Value>>;
  struct Sinks {
    // Whether the instance will be up, or has failed, in a moment: then the command waits.
    std::function<bool(const CommandRoute&)> starting;
    // Notes that the command is about to run: after a crash it is not run again. An error's message
    // becomes the reason of the refusal.
    std::function<Result<>(uint64_t number)> accepted;
    // Hands the call to the instance's host. An error's message becomes the reason of the failure.
    std::function<Result<>(const CommandRoute&, message::Call)> call;
    // Does what is the agent's own to do.
    std::function<message::Outcome(const CommandRoute&, const Arguments&)> own;
    std::function<void(const CommandReport&)> report;
    // UTC in ms, where somebody vouches for the clock.
    std::function<std::optional<int64_t>(BootTime)> utc;
  };
  CommandRouter(CommandsConfig rules, Sinks sinks)
      : rules_(std::move(rules)), sinks_(std::move(sinks)) {}

  // Replaces all routes; commands that are running keep theirs. retry() follows, unless the agent
  // is about to end.
  void set_routes(std::vector<CommandRoute> routes);
  // Takes up what waits for its plugin.
  void retry(BootTime now);
  void set_rules(const CommandsConfig& rules);

  // Never fails: whatever arrives is called, or reported as rejected or expired.
  void on_command(const IncomingCommand& incoming, BootTime now) {
    ++counts_.received;
    judge(incoming, now, false);
  }
  // One that an earlier process has left: Received is run now, if its time has not passed; Accepted
  // may have run, and is reported as unknown; Expired is reported.
  void resume(const IncomingCommand& left, CommandStatus status, BootTime now);
  // What became of one, as an earlier process of this boot has noted it.
  void remember(CommandHistory::Entry entry) { history_.add(std::move(entry)); }
  // One that cannot even wait for this: what it says of itself (any thread), and its report.
  CommandReport refusal(const IncomingCommand& incoming, const std::string& reason) const;
  void refuse(CommandReport refusal);
  // So many more, of which there is not even a report.
  void count_refused(int64_t commands) {
    counts_.received += commands;
    counts_.rejected += commands;
  }
  void on_outcome(const message::Outcome& outcome);
  // The instance's host is gone; what became of what it was running is unknown.
  void on_instance_down(std::string_view instance, std::string_view reason);
  // Reports as unknown what has timed out. To be called every second or so. retry() reports what
  // has waited for too long.
  void expire(BootTime now);

  const std::vector<CommandRoute>& routes() const { return routes_; }
  const CommandCounts& counts() const { return counts_; }
  const CommandHistory& history() const { return history_; }
  size_t open() const { return running_.size() + waiting_.size(); }  // that have not ended

 private:
  struct Running {
    CommandReport report;
    BootTime deadline;
  };
  void judge(const IncomingCommand& incoming, BootTime now, bool resumed);
  struct Waiting {
    IncomingCommand incoming;
    std::string identity;
  };
  void take(const IncomingCommand& incoming, const Envelope& envelope, CommandReport report,
            BootTime now);
  void wait(const IncomingCommand& incoming, CommandReport report);
  // Why it is not to be run, if so.
  std::optional<CommandReport> repeats(const CommandReport& report, BootTime now) const;
  Result<> still_wanted(const Envelope& envelope, BootTime received) const;
  std::string id_pointer() const;
  void call(const CommandRoute& route, Arguments arguments, CommandReport report, BootTime now);
  const CommandRoute* find(const CommandReport& report) const;
  bool id_is_argument(const CommandReport& report) const;
  void name_device(CommandReport& report) const;
  void run_own(const CommandRoute& route, const Arguments& arguments, CommandReport report);
  void finish(CommandReport report, const message::Outcome& outcome);
  std::string why_not_found(const CommandReport& report) const;
  void finish(CommandReport report, CommandStatus status, std::string reason);
  void finish(const CommandReport& report);

  mutable std::mutex rules_mutex_;  // for refusal(): only the main thread writes
  CommandsConfig rules_;
  Sinks sinks_;
  std::vector<CommandRoute> routes_;
  std::map<uint64_t, Running> running_;
  uint64_t last_id_ = 0;
  std::deque<Waiting> waiting_;  // for their plugins to start
  CommandHistory history_;
  CommandCounts counts_;
};

// Fills `${device_id}` and `${device}` into an answer topic.
std::string fill_topic(std::string_view pattern, const CommandReport& report);

}  // namespace fieldpost
