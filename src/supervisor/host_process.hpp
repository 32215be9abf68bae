// SPDX-License-Identifier: Apache-2.0
//
// One instance's process: started, configured, watched, replaced. When to do what is host_fsm's
// table; this does it. Main thread: the parent-death signal of a host follows the thread that
// started it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/event_loop.hpp"
#include "base/file.hpp"
#include "model/message.hpp"
#include "supervisor/host_fsm.hpp"
#include "supervisor/host_link.hpp"

namespace fieldpost {

class HostProcess {
 public:
  // How long things may take. The defaults are for the field; tests are in more of a hurry.
  struct Timing {
    nanoseconds start = std::chrono::seconds(5);  // to be loaded, besides the deadline
    nanoseconds grace = std::chrono::seconds(1);  // between SIGTERM and SIGKILL
    nanoseconds ping = std::chrono::seconds(2);   // of silence before it is asked, at least
    nanoseconds first_pause = std::chrono::milliseconds(500);
    nanoseconds longest_pause = std::chrono::seconds(60);
    nanoseconds long_pause = std::chrono::minutes(5);  // in Degraded and Failed
    nanoseconds stable = std::chrono::seconds(60);     // Up for so long: its past is forgotten
    int exits = 5;                                     // within `stable`; one more is too often
  };
  struct Options {
    std::string plugin_host;  // the program
    std::string plugin;       // the .so
    InstanceConfig config;
    Timing timing = {};
    HostLink::Limits limits = {};
    // Where systemd starts the host, as a unit of its own (docs/decisions/0014): we connect and
    // disconnect, and the rest is the unit's. Empty: we start `plugin_host`.
    std::string socket = {};
  };
  // Called from the event loop. May not destroy the HostProcess.
  struct Sinks {
    // Errors: what is wrong with it, in words that follow "declared"; they end the host.
    std::function<Result<>(const Declaration&)> declared;
    // Only of declared attributes, with values of their types.
    std::function<void(message::Samples&&)> samples;
    std::function<void(const message::UnitState&)> unit_state;
    std::function<void(const message::Held&)> held = {};  // of declared attributes; may be empty
    // Exactly one for each call() that succeeded: of one whose host ended it is Uncertain.
    std::function<void(const message::Outcome&)> outcome;
    std::function<void()> state;  // status() has changed
    // What the instance's processes keep, and what was kept by those before the one that starts.
    std::function<void(const message::Keep&)> keep = [](const message::Keep&) {};
    std::function<std::vector<KeptValue>()> kept = [] { return std::vector<KeptValue>(); };
    std::function<void(const message::Remark&)> remark = {};  // on a declared one; may be empty
    // Exactly one for each read_once() that succeeded.
    std::function<void(message::GuestReading&&)> guest = [](message::GuestReading&&) {};
  };
  struct Status {
    HostState state = HostState::Down;
    std::string reason;  // why it is not Up: "killed by signal 11 (Segmentation fault)", …
    pid_t pid = -1;      // -1: no process, or that of a unit
    int64_t starts = 0;  // processes started so far
    FileStamp plugin{};  // the .so as it was at the last start
    std::optional<Confinement> confinement{};           // of the process; what its sandbox does
    std::optional<message::Punctuality> punctuality{};  // of its polls, as it was told last
    BootTime since{};                                   // of the last change of state
    BootTime retry{};  // of the next start in Backoff, Degraded and Failed
  };

  HostProcess(EventLoop& loop, Options options, Sinks sinks);
  ~HostProcess();  // kills what still runs
  HostProcess(const HostProcess&) = delete;
  HostProcess& operator=(const HostProcess&) = delete;

  // Wants the process, at once also if it waits for its next start. Allowed while it is stopping.
  void start();
  // SIGTERM now, SIGKILL after the grace; sinks.state tells when it is Down.
  void stop();
  // Errors: Unavailable (the host is not Up), Full (it does not read).
  Result<> call(message::Call call);
  // What each attribute brings next is to leave the host. One that is not Up has nothing to renew.
  void renew();
  // For a process whose outputs go by it.
  void tell(const message::BrokerHeard& heard);
  // Errors: likewise. Its deadline is the instance's.
  Result<> read_once(message::ReadOnce guest);
  const Status& status() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fieldpost
