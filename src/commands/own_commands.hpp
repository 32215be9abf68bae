// SPDX-License-Identifier: Apache-2.0
//
// What the agent itself can be told from upstream (config/own_names.hpp): whether it is done, and
// how often. Does nothing itself; what it may do are actions. Main thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "commands/router.hpp"
#include "config/own_names.hpp"

namespace fieldpost {

class OwnCommands {
 public:
  // The same sooner again is taken for one command that was delivered twice.
  static constexpr std::chrono::seconds kGap{10};

  // An error's message becomes the reason of the refusal.
  struct Actions {
    std::function<Result<>()> report;
    std::function<Result<>(const std::string& plugin)> restart;
    std::function<Result<>()> reload;  // begins it
  };
  explicit OwnCommands(Actions actions) : actions_(std::move(actions)) {}

  void configure(const CommandsConfig& config) { config_ = config; }

  // All of them, also those that are switched off: who sends one is told that it is.
  std::vector<CommandRoute> routes(const DeviceConfig& gateway) const;

  // Done or Rejected. `arguments` are checked, and in the order of the command's table.
  message::Outcome run(const CommandRoute& route,
                       const std::vector<std::optional<Value>>& arguments, BootTime now);

 private:
  Result<> act(OwnCommand command, const std::string& plugin, BootTime now);
  Result<> not_again(OwnCommand command, const std::string& plugin, BootTime now);

  Actions actions_;
  CommandsConfig config_;
  std::map<std::pair<OwnCommand, std::string>, BootTime> done_;  // of the last kGap
};

}  // namespace fieldpost
