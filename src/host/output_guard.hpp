// SPDX-License-Identifier: Apache-2.0
//
// Stands between whoever commands an output and the plugin that drives it: refuses what a rule of
// [[plugin.guard]] forbids, and says when an output is to be driven to its safe value. Pure: no
// clock, no I/O.
//
// What is not known counts as what is worse: an output that may be on is on for `max_on` and
// `interlock`, one that may just have been switched off is off for `min_off`. So nothing has to be
// remembered over a restart: every time begins anew with the process. A safe value goes before
// `min_on`, `min_off` and `max_rate`, and is driven until the device has taken it.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "model/guard_rule.hpp"
#include "model/message.hpp"
#include "model/plugin_info.hpp"

namespace fieldpost {

class OutputGuard {
 public:
  static constexpr nanoseconds kFirstRetry = std::chrono::seconds(1);
  static constexpr nanoseconds kLongestRetry = std::chrono::seconds(30);

  struct Action {
    uint32_t command = 0;  // index into the declaration
    Value value;
    std::string why;     // for people: "the uplink has been silent for 5min"
    bool again = false;  // it was tried before, and failed
    bool loud = false;   // whoever set the output did not expect it
  };

  // Guards nothing.
  OutputGuard() = default;
  // Rules for commands that `declaration` has not, or has with other than one argument, are left
  // out: the configuration was refused for them.
  OutputGuard(const Declaration& declaration, const std::vector<GuardRule>& rules, BootTime start);

  // Why a call must not be made now; empty: it may.
  std::string objection(uint32_t command, const Value& value, BootTime now) const;
  // A call was made.
  void made(uint32_t command, const Value& value, message::Outcome::Status status, BootTime now);

  // The broker was last heard of then.
  void on_heard(BootTime heard);
  // What is to be driven now: each in turn, made() follows.
  std::optional<Action> due(BootTime now);
  // Something is to be driven that was not tried yet: commands wait for that.
  bool is_due(BootTime now) const;
  // When due() has something at the latest; nothing: not before something happens.
  std::optional<BootTime> next() const;
  // What is to be driven because the process ends.
  std::vector<Action> at_stop() const;

 private:
  struct Output {
    uint32_t command = 0;
    std::string name;
    GuardRule rule;
    bool sure = false;                  // `value` is what it has
    std::optional<Value> value;         // the last one it took
    std::optional<BootTime> on_since;   // from when on it may be on
    std::optional<BootTime> off_since;  // when it may have been switched off last
    std::deque<BootTime> changes;       // of the last minute, where max_rate asks for them
    std::string pending;                // why `safe` is to be driven
    BootTime try_at{};                  // again
    nanoseconds pause{};                // the last one between two tries
    bool silent = false;                // the uplink's silence was acted upon
  };
  Output* find(uint32_t command);
  const Output* find(uint32_t command) const;
  std::string interlocked(const Output& output) const;
  void want_safe(Output& output, std::string why, BootTime now);
  static std::optional<BootTime> on_limit(const Output& output);
  std::optional<BootTime> silence_limit(const Output& output) const;

  std::vector<Output> outputs_;
  BootTime heard_{};
};

}  // namespace fieldpost
