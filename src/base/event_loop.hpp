// SPDX-License-Identifier: Apache-2.0
//
// sd-event with ownership. One loop per thread; callbacks run on the thread that calls run(), one
// at a time. A callback that throws is a bug: it meets noexcept and aborts with a core.
#pragma once

#include <signal.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>

#include "base/result.hpp"

namespace fieldpost {

// Handlers read their inputs before deadlines are judged, so that a loop that was held up for a
// second (an SD card collecting garbage) does not take every healthy host for dead.
enum class Priority : uint8_t { Input = 0, Deadline = 10, Housekeeping = 20 };

// Keeps a registration alive; destroying it unregisters, also from inside its own callback.
class Source {
 public:
  Source() = default;
  explicit Source(sd_event_source* source) : source_(source) {}
  explicit operator bool() const { return source_ != nullptr; }
  sd_event_source* get() const { return source_.get(); }

 private:
  struct Unref {
    void operator()(sd_event_source* s) const { sd_event_source_disable_unref(s); }
  };
  std::unique_ptr<sd_event_source, Unref> source_;
};

// Blocks the signals that the loop will receive, and ignores SIGPIPE. The first call of main():
// threads started later inherit the mask.
void block_signals(std::initializer_list<int> signals);

class EventLoop {
 public:
  static Result<EventLoop> create();

  // `fd` stays owned by the caller and must outlive the Source.
  Result<Source> on_readable(int fd, std::function<void()> callback,
                             Priority priority = Priority::Input);
  Result<Source> on_writable(int fd, std::function<void()> callback,
                             Priority priority = Priority::Input);
  // Fires once, `delay` from now on CLOCK_BOOTTIME, up to 10 ms late (timers are coalesced).
  Result<Source> after(std::chrono::microseconds delay, std::function<void()> callback,
                       Priority priority = Priority::Deadline);
  // Fires every `period`, the first time one period from now.
  Result<Source> every(std::chrono::microseconds period, std::function<void()> callback,
                       Priority priority = Priority::Housekeeping);
  // The signal must be blocked in every thread (block_signals()).
  Result<Source> on_signal(int signal, std::function<void()> callback);
  // Watches a child. SIGCHLD must be blocked, and nobody else may wait for the pid.
  Result<Source> on_exit(pid_t pid, std::function<void(const siginfo_t&)> callback);

  // Runs until exit(), and returns its code.
  Result<int> run();
  // Waits at most `timeout` for one event and dispatches it; false if none came. For tests.
  Result<bool> run_once(std::chrono::microseconds timeout);
  void exit(int code) { sd_event_exit(event_.get(), code); }

 private:
  struct Unref {
    void operator()(sd_event* e) const { sd_event_unref(e); }
  };
  explicit EventLoop(sd_event* event) : event_(event) {}
  Result<Source> on_fd(int fd, uint32_t events, std::function<void()> callback, Priority priority);
  std::unique_ptr<sd_event, Unref> event_;
};

}  // namespace fieldpost
