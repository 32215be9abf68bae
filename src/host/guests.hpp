// SPDX-License-Identifier: Apache-2.0
//
// Readings for somebody at the command line, over the line that an instance has: one unit of
// another configuration of its plugin, opened, polled once and closed, in turn with the instance's
// own polls. A guest drives nothing: one with commands is refused. It costs the instance what any
// of its polls may cost, and never more than a small part of its time.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "host/heartbeat.hpp"
#include "host/line_log.hpp"
#include "host/loader.hpp"
#include "model/message.hpp"

namespace fieldpost {

class Guests {
 public:
  static constexpr size_t kMaxWaiting = 8;  // one more is refused
  // After one that was in the way of the instance's polls the next waits so many times as long:
  // the instance keeps more than nine tenths of its time.
  static constexpr int kRest = 12;

  // All outlive this object.
  Guests(const Plugin& plugin, LineLog& log, Heartbeat& heart)
      : plugin_(plugin), log_(log), heart_(heart) {}

  // Its refusal, if there is no room for it.
  std::optional<message::GuestReading> add(message::ReadOnce&& guest);
  // When the next may have its turn, if the instance has nothing to do before `busy`: now, where it
  // will probably be done by then; else after its rest. None: nobody waits.
  std::optional<BootTime> due(BootTime now, std::optional<BootTime> busy) const;
  // Reads for the one that has waited longest.
  message::GuestReading read_next();

 private:
  const Plugin& plugin_;
  LineLog& log_;
  Heartbeat& heart_;
  std::deque<message::ReadOnce> waiting_;
  nanoseconds taken_{};  // by the last
  BootTime ended_{};     // then
};

}  // namespace fieldpost
