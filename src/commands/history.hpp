// SPDX-License-Identifier: Apache-2.0
//
// What became of commands: to know one when it comes again, and to show. In memory; of those that
// may have taken effect, whoever keeps them across the end of the process gives them back. Main
// thread.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "model/command.hpp"
#include "model/value.hpp"

namespace fieldpost {

class CommandHistory {
 public:
  // One that is sent anew counts as another after so long, or after so many others that ran.
  static constexpr std::chrono::hours kWindow{24};
  static constexpr size_t kRan = 1000;
  // Of those that did not run: a flood of them must not push out what has to be known.
  static constexpr size_t kRefused = 100;
  static constexpr size_t kLongestText = 256;  // bytes of a value that is kept

  struct Entry {
    std::string identity;  // commands/envelope.hpp; empty: none
    BootTime came{};
    CommandStatus status = CommandStatus::Rejected;
    std::optional<Value> value;  // what the device said afterwards
    Json outcome;                // as it was answered
  };

  void add(Entry entry);
  // One that ran or may have run within the window. Valid until the next call.
  const Entry* find(const std::string& identity, BootTime now) const;
  // The newest of all kinds, oldest first.
  std::vector<Entry> newest(size_t n) const;

 private:
  std::deque<Entry> ran_, refused_;
  std::map<std::string, size_t, std::less<>> by_identity_;  // number of its entry in ran_
  size_t forgotten_ = 0;                                    // so many were before ran_.front()
};

// An entry as it is kept over the end of the process, within one boot.
std::string to_text(const CommandHistory::Entry& entry);
std::optional<CommandHistory::Entry> entry_of(const std::string& text);

// Whether it may have taken effect: then it must not run a second time.
constexpr bool may_have_run(CommandStatus status) {
  return status == CommandStatus::Done || status == CommandStatus::Failed ||
         status == CommandStatus::Unknown;
}

}  // namespace fieldpost
