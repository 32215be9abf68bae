// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/clock.hpp"
#include "base/unique_fd.hpp"

namespace fieldpost {

// What keeps systemd from ending a host that is a unit of its own and has WatchdogSec: the agent,
// which watches the other hosts, may not end one of another user. Where there is no such watchdog
// it does nothing.
class Heartbeat {
 public:
  // From $WATCHDOG_USEC and $NOTIFY_SOCKET. Before the sandbox: it opens a socket.
  static Heartbeat from_environment();

  // To be called before every call into the plugin, while the supervisor is waited for, and after
  // period() at the latest. Never waits.
  void beat(BootTime now);
  nanoseconds period() const { return period_; }

 private:
  UniqueFd fd_;
  nanoseconds period_ = std::chrono::hours(1);
  BootTime due_{};
};

}  // namespace fieldpost
