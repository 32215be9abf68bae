// SPDX-License-Identifier: Apache-2.0
//
// A message bus of its own (Debian's dbus-daemon) and, on it, somebody who answers in the name of
// org.freedesktop.timedate1.
#pragma once

#include <systemd/sd-bus.h>

#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.hpp"
#include "base/timedate.hpp"
#include "fakes/process.hpp"

namespace fieldpost::test {

class TimedateBus {
 public:
  // How it takes a question.
  enum class Manner : uint8_t { Answer, Refuse, Ramble, Silence };

  explicit TimedateBus(EventLoop& loop);  // throws what keeps it from running
  std::string address() const { return "unix:path=" + folder_ / "bus"; }
  // Nobody answers before this.
  void serve();
  void end_bus() { daemon_->end(SIGKILL); }

  TimedateAnswer answer;
  Manner manner = Manner::Answer;
  int asked = 0;

 private:
  struct Close {
    void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
  };
  int on_call(sd_bus_message* call);
  int reply(sd_bus_message* call) const;

  TempDir folder_;
  std::unique_ptr<Process> daemon_;
  Source holder_;  // knows the loop's sd_event
  std::unique_ptr<sd_bus, Close> bus_;
};

}  // namespace fieldpost::test
