// SPDX-License-Identifier: Apache-2.0
//
// Is the system clock synchronised? Says so when the answer changes, and after the clock was set.
// Runs on a loop, never blocks it, and takes whatever is missing (a bus, a service, a permission)
// as no answer.
//
// Sources, any one of which suffices:
//   the file timesync/synchronized   systemd-timesyncd has set the clock in this boot
//   the kernel, adjtimex(2)          it counts its greatest error below 16 s, as any NTP service
//                                    keeps it; not permitted inside the hardened unit
//   clock.trust                      the configuration says the clock is right
//   timedated on the system bus      NTPSynchronized, which is the kernel's answer for those who
//                                    may not ask it; for chrony, ntpd and others
// The bus comes last, because asking it starts a process; if another suffices, it is not asked.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/clock_watch.hpp"
#include "base/event_loop.hpp"
#include "base/timedate.hpp"

namespace fieldpost {

enum class TimeSource : uint8_t { None, Timesyncd, Kernel, Configuration, Timedated };
// "systemd-timesyncd", "kernel", "configuration", "timedated"; "" for none.
std::string_view name_of(TimeSource source);

struct TimeSyncState {
  bool synchronised = false;
  TimeSource source = TimeSource::None;  // the one that says so
  BootTime since{};                      // since when this is known to be so
  std::string reason;  // why it is likely not synchronised and what to do; empty when it is
};

// By adjtimex(2), which only reads here. None: not permitted.
std::optional<bool> kernel_synchronised();

class TimeSync {
 public:
  struct Options {
    bool trusted = false;  // clock.trust = "always"
    // What follows is for tests.
    std::string run_dir = "/run/systemd";
    std::string bus_address = "unix:path=/run/dbus/system_bus_socket";
    std::function<std::optional<bool>()> kernel = kernel_synchronised;
    std::chrono::milliseconds bus_limit{5000};  // timedated may have to be started
    std::chrono::milliseconds poll{2000};       // the file and the kernel, until synchronised
    // Below the 30 s after which an idle timedated ends: it is not started over and over.
    std::chrono::milliseconds bus_poll{10'000};
  };
  using Callback = std::function<void(const TimeSyncState&)>;

  // `timer` is ClockWatch::timer(). The callback comes from the loop: first when all sources have
  // been heard, then when the answer or the reason changes, and each time the clock was set, when
  // the sources have been heard about it: at once if a cheap one suffices, else within `bus_limit`.
  // It must not destroy this object.
  // Errors: Io.
  static Result<std::unique_ptr<TimeSync>> start(EventLoop& loop, UniqueFd timer, Options options,
                                                 Callback callback);
  TimeSync(const TimeSync&) = delete;
  TimeSync& operator=(const TimeSync&) = delete;
  ~TimeSync() = default;

  const TimeSyncState& state() const { return state_; }
  void set_trusted(bool trusted);  // the configuration was read again

 private:
  TimeSync(EventLoop& loop, Options options, Callback callback);
  void forget_answers();  // all sources are to be asked anew
  void look();            // a turn of the timer
  void ask_bus();
  void on_answer(Result<TimedateAnswer> answer);
  TimeSource cheap_source() const;
  std::string likely_reason(const Result<TimedateAnswer>& answer) const;
  void conclude(TimeSource source, std::string reason);
  void look_after(std::chrono::milliseconds pause);

  EventLoop* loop_;
  Options options_;
  Callback callback_;
  TimeSyncState state_;
  bool announce_ = true;  // call back even if nothing has changed
  BootTime bus_due_{};
  std::unique_ptr<TimedateQuery> query_;
  std::optional<ClockWatch> watch_;
  Source timer_;
};

}  // namespace fieldpost
