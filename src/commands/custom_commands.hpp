// SPDX-License-Identifier: Apache-2.0
//
// [[subscribe]]: from a message on a topic of somebody else's to a command, in the form in which
// the platform sends one; whoever carries out commands need not know where it came from. Any
// thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "model/command.hpp"

namespace fieldpost {

class CustomCommands {
 public:
  struct Misfit {
    std::string command;
    std::string reason;
  };
  struct Read {
    std::vector<IncomingCommand> commands;
    std::vector<Misfit> misfits;  // entries that the message was no command for
  };
  struct Counts {
    int64_t received = 0;  // messages
    int64_t misfits = 0;
  };

  void configure(std::vector<SubscribeConfig> entries) {
    const std::scoped_lock lock(mutex_);
    entries_ = std::move(entries);
  }

  // For each entry whose topic matches, a command or why there is none. Whether its arguments are
  // what the plugin takes is not looked at. Never fails, whatever arrives.
  Read read(const IncomingMessage& message);
  Counts counts() const {
    const std::scoped_lock lock(mutex_);
    return counts_;
  }

 private:
  mutable std::mutex mutex_;  // guards all below
  std::vector<SubscribeConfig> entries_;
  Counts counts_;
};

}  // namespace fieldpost
