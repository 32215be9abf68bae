// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"
#include "model/message.hpp"
#include "supervisor/rate.hpp"

namespace fieldpost {

// The supervisor's end of the connection to one host, which is not trusted: at most kTurn messages
// are read before other sources get their turn, and a host that says more than it may, or what is
// no message, is broken off. Never waits.
class HostLink {
 public:
  // What a host may send in the long run, and at once (after an outage of ours, or a plugin that
  // replays a file). The busiest plugin there is, an edge counter, stays below a fifth of it. A
  // host that would send more but gets no processor time for it stays within it, and is let be.
  struct Limits {
    double messages_per_second = 2'000, messages_at_once = 10'000;
    double bytes_per_second = 4 << 20, bytes_at_once = 16 << 20;
  };
  static constexpr int kTurn = 64;
  static constexpr size_t kMaxQueued = 64;  // frames that the host has not taken yet

  struct Sinks {
    std::function<void(message::Any&&)> message;
    std::function<void(const std::string& why)> broken;  // what it did, for people; once
    std::function<void()> ended;                         // end of file; once
  };
  HostLink(EventLoop& loop, UniqueFd fd, Sinks sinks, const Limits& limits);
  HostLink(const HostLink&) = delete;
  HostLink& operator=(const HostLink&) = delete;

  // Errors: Io.
  Result<> start();
  // Queues a message. Errors: Full (the host does not read, or the message is too long),
  // Unavailable (closed).
  Result<> send(const message::Any& message);
  // Reads what a host left behind that has ended.
  void drain();
  // Tells the host to end, by an end of file; what it still says is read.
  void finish();
  // No sink is called any more. Allowed from inside one.
  void close();
  // Counts what the host wrote to its log against the same limit; false: it is too much.
  bool admit_log(size_t bytes, BootTime now);

 private:
  // Whether there may be more to read.
  bool read_one(BootTime now);
  bool break_off(const std::string& why);
  void flush();
  EventLoop& loop_;
  UniqueFd fd_;
  Sinks sinks_;
  Source readable_, writable_;
  message::Decoder decoder_;
  std::vector<std::byte> buffer_;
  uint64_t sequence_ = 0;
  std::deque<std::vector<std::byte>> queue_;
  Rate messages_, bytes_;
};

}  // namespace fieldpost
