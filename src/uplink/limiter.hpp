// SPDX-License-Identifier: Apache-2.0
//
// Keeps to what the broker bears: at most so many messages in any window, on each topic and on the
// connection, where those that come in count as well. A log, not a bucket: a bucket of 28 that is
// refilled evenly lets 56 messages pass in one window.
//
// When the broker gets a message is not known, only that it is between sending and
// acknowledgement. So a message counts from when it is sent until a window after its
// acknowledgement: however slow the line, the broker never sees more. Pure: no I/O, no clock, times
// ascend. Not for use by several threads.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/rate_limits.hpp"

namespace fieldpost {

// In the order of who goes first.
enum class Traffic : uint8_t { Answer, Live, Backlog, Custom };

class Limiter {
 public:
  // What is kept of a message, so that it counts in a later life of the process.
  struct Record {
    enum class State : uint8_t { Free = 0, OnItsWay, Arrived, Everything };
    uint64_t topic = 0;
    int64_t at_ns = 0;  // BootTime when it was sent or, in Arrived, acknowledged
    State state = State::Free;
    Traffic traffic = Traffic::Answer;
  };
  static constexpr size_t kRecords = 4096;  // more are not on their way or in one window
  using Records = std::span<Record, kRecords>;

  // Begins with what `records` holds, and writes there; they outlive it. What was on its way then
  // arrived at the latest `now`.
  Limiter(RateLimits limits, Records records, BootTime now);
  Limiter(const Limiter&) = delete;
  Limiter& operator=(const Limiter&) = delete;

  void set_limits(RateLimits limits) { limits_ = limits; }
  const RateLimits& limits() const { return limits_; }
  // As they hold while slowed down.
  RateLimits limits_at(BootTime now) const;
  // What is kept free of backlog and custom topics, for live messages to come: on each topic, and
  // on the connection.
  void set_reserve(int per_topic, int per_connection);
  // Nobody knows what was sent in the last window: nothing may leave for one.
  void assume_full(BootTime now);
  // The broker has thrown us out: half of the limits until then.
  void slow_down_until(BootTime time) { slow_until_ = time; }
  bool slowed(BootTime now) const { return limits_.any() && now < slow_until_; }

  // When a message may leave: at once if that is not after `now`. kUnknown: not before one that is
  // on its way arrives.
  static constexpr BootTime kUnknown = BootTime::max();
  BootTime free_at(std::string_view topic, Traffic traffic, BootTime now);

  // Names the message for arrived(); nothing is to be sent that free_at() does not allow.
  size_t sent(std::string_view topic, Traffic traffic, BootTime now);
  void arrived(size_t message, BootTime now);
  // The connection is gone: what was on its way arrived now or never.
  void all_arrived(BootTime now);
  // A message came in.
  void received(BootTime now);

  // Topics with a live message in the last window, or on its way.
  int64_t live_topics(BootTime now);
  // How much of the limit that is nearest is used, in percent; 0 without limits.
  int used_percent(BootTime now);

 private:
  static constexpr size_t kTraffics = 4;
  // Messages of one topic, or of all.
  struct Scope {
    struct Arrived {
      BootTime at;
      Traffic traffic;
    };
    std::array<int, kTraffics> on_their_way{};
    std::array<int, kTraffics> arrived_of{};  // of `arrived`, how many
    std::deque<Arrived> arrived;              // ascending
    void add(BootTime at, Traffic traffic);
    void drop_oldest();
    bool empty() const;
    int count(Traffic from) const;
    // As free_at(), for messages of `from` and what comes after it.
    BootTime free_at(Traffic from, int limit, nanoseconds window, BootTime now) const;
  };
  struct Arrived {
    BootTime at;
    uint64_t topic;
    size_t record;
  };

  void expire(BootTime now);
  int scaled(int limit, BootTime now) const;
  void add_arrived(size_t record, BootTime at);

  RateLimits limits_;
  Records records_;
  std::vector<size_t> free_;
  std::deque<Arrived> arrived_;  // ascending
  Scope connection_;
  std::unordered_map<uint64_t, Scope> topics_;
  int topic_reserve_ = 0;
  int connection_reserve_ = 0;
  BootTime closed_until_{};
  BootTime slow_until_{};
};

}  // namespace fieldpost
