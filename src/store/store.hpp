// SPDX-License-Identifier: Apache-2.0
//
// The store thread: owns the Outbox and is the only one that waits for fsync. Others talk to it
// through a mailbox and never wait; it answers through the sinks, which run on its thread and must
// only post to a mailbox.
//
//   main ── append ──▶ store ── committed(newest row) ──▶ uplink
//   uplink ── fetch(after) ──▶ store ── chunks ──▶ uplink        uplink ── acknowledge ──▶ store
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/outbox.hpp"

namespace fieldpost {

struct StoreStatus {
  OutboxTotals totals;
  int64_t appended = 0;      // readings taken since the start
  int64_t acknowledged = 0;  // readings
  int64_t lost =
      0;  // readings that could be kept nowhere, because the disk stalled or failed too long
  std::string trouble;  // "disk is full", …; empty: none
  // When the running disk operation began (BootTime, ns); 0: not inside one. A reader says
  // `disk stalled for n s` when that is long ago.
  int64_t busy_since_ns = 0;
};

class Store {
 public:
  struct Options {
    std::string folder;
    std::string boot_id;
    std::chrono::nanoseconds commit_delay{};      // group commit: a sample waits at most this long
    size_t max_waiting_bytes = size_t{16} << 20;  // of samples that the disk has not taken yet
  };
  struct Sinks {
    std::function<void(int64_t newest_row)> committed;
    std::function<void(std::vector<Chunk>)> chunks;  // answer to fetch; empty: nothing after it
    std::function<void(const StoreStatus&)> status;  // on change, at most once a second
  };

  // Nothing runs yet: whoever the sinks speak to may still be under construction.
  Store(Options options, Sinks sinks);
  // Stops without waiting for more than what the disk is doing; see stop().
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Starts the thread. The outbox is opened on it; until that has worked, samples wait in memory,
  // and trouble says why.
  void start();

  // Any thread; never waits. Samples beyond max_waiting_bytes are counted as lost.
  void append(std::vector<DeviceSample> samples);
  void fetch(int64_t after, size_t max_points);
  void acknowledge(std::vector<int64_t> rows);
  void append_epoch(Epoch epoch);

  // When the running disk operation began (BootTime ns), 0 if none. Any thread.
  int64_t busy_since_ns() const;

  // Commits everything and ends the thread. False if the disk did not let it within `limit`; the
  // thread is then left behind, and the process may exit.
  bool stop(std::chrono::milliseconds limit);

 private:
  struct Thread;
  std::shared_ptr<Thread>
      thread_;  // two owners: this and the thread itself, which stop() may leave behind
};

}  // namespace fieldpost
