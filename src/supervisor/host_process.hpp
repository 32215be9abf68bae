// SPDX-License-Identifier: Apache-2.0
//
// (Proposed by the lead, who writes supervisor.cpp against this public part: keep it, fill in the
// private part, improve the comments.)
// One instance's process: started, configured, watched, replaced. The policy is host_fsm's table;
// this does what it says. Main thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "base/clock.hpp"
#include "base/event_loop.hpp"
#include "model/message.hpp"
#include "supervisor/host_fsm.hpp"

namespace fieldpost {

class HostProcess {
 public:
  struct Options {
    std::string plugin_host;  // the program
    std::string plugin;       // the .so
    InstanceConfig config;
  };
  // Called from the event loop. May not destroy the HostProcess.
  struct Sinks {
    std::function<void(const Declaration&)> declared;
    std::function<void(message::Samples&&)> samples;
    std::function<void(const message::UnitState&)> unit_state;
    std::function<void(const message::Outcome&)> outcome;
    std::function<void()> state;  // state() or reason() changed
  };
  struct Status {
    HostState state = HostState::Down;
    std::string reason;      // why it is not Up: "killed by signal 11 (Segmentation fault)", …
    pid_t pid = -1;          // -1: no process
    int64_t starts = 0;      // processes started so far
    BootTime since{};        // of the last change of state
    BootTime retry{};        // of the next start in Backoff, Degraded and Failed
  };

  HostProcess(EventLoop& loop, Options options, Sinks sinks);
  ~HostProcess();  // kills what still runs
  HostProcess(const HostProcess&) = delete;
  HostProcess& operator=(const HostProcess&) = delete;

  void start();
  // SIGTERM now, SIGKILL after the grace; sinks.state tells when it is Down.
  void stop();
  // Errors: Unavailable (the host is not Up), Full (it does not read).
  Result<> call(message::Call call);
  const Status& status() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fieldpost
