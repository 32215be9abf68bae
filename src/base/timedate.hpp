// SPDX-License-Identifier: Apache-2.0
//
// One question to systemd-timedated over D-Bus: does a time service run, and has it set the clock?
// It answers for every service alike (systemd-timesyncd, chrony, ntpd, …).
#pragma once

#include <systemd/sd-bus.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.hpp"

namespace fieldpost {

// Properties of org.freedesktop.timedate1(5).
struct TimedateAnswer {
  bool synchronised = false;  // NTPSynchronized
  bool can_ntp = false;       // CanNTP: a time service is installed
  bool ntp = false;           // NTP: it is switched on
};

// A question under way. Destroying it drops the question, also from inside its own callback.
class TimedateQuery {
 public:
  using Callback = std::function<void(Result<TimedateAnswer>)>;

  // Connects to the bus at `address` ("unix:path=…"), asks, and calls back once from the loop, at
  // the latest after `limit`. Never blocks; a connection of its own each time leaves nothing
  // behind that a bus that hangs or is restarted could spoil.
  // Errors of the answer: Unavailable (no bus, no timedated, it refuses), Timeout.
  static Result<std::unique_ptr<TimedateQuery>> ask(EventLoop& loop, const std::string& address,
                                                    std::chrono::milliseconds limit,
                                                    Callback callback);
  TimedateQuery(const TimedateQuery&) = delete;
  TimedateQuery& operator=(const TimedateQuery&) = delete;
  ~TimedateQuery() = default;

 private:
  struct Close {
    void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }  // does not wait for its queue
  };
  struct Unref {
    void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
  };
  explicit TimedateQuery(Callback callback) : callback_(std::move(callback)) {}
  int connect(const std::string& address);
  int send(std::chrono::milliseconds limit);
  void finish(Result<TimedateAnswer> answer);

  Callback callback_;
  Source deadline_;
  std::unique_ptr<sd_bus, Close> bus_;
  std::unique_ptr<sd_bus_slot, Unref> slot_;
};

}  // namespace fieldpost
