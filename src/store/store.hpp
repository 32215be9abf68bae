// SPDX-License-Identifier: Apache-2.0
//
// Where readings wait for the broker, in two stages: the log on a tmpfs (store/stage_log.hpp) takes
// every sample at once, the outbox on the disk (store/outbox.hpp) what is not acknowledged in time.
// The store thread owns the outbox and is the only one that waits for fsync; nobody waits for it.
//
//   main ── append ──▶ stage 1 ── committed(newest) ──▶ uplink
//   uplink ── fetch(after) ──▶ stage 1, or store thread ── chunks ──▶ uplink
//   uplink ── acknowledge ──▶ stage 1, and store thread for what is on the disk
//   stage 1 ── what is not acknowledged by its deadline ──▶ store thread ──▶ disk
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/keep.hpp"
#include "store/exports.hpp"
#include "store/outbox.hpp"
#include "store/stage_log.hpp"
#include "store/toll.hpp"
#include "store/wear.hpp"

namespace fieldpost {

struct StoreStatus {
  OutboxTotals totals;   // of the disk
  int64_t staged = 0;    // readings that wait in stage 1 alone
  int64_t appended = 0;  // readings taken since the start
  int64_t lost = 0;      // readings that could be kept nowhere
  // Readings that were given up since the start, for want of space or for their age, and the
  // attributes that lost most.
  int64_t thinned = 0;
  int64_t dropped = 0;
  std::vector<Toll::Line> given_up;
  int64_t unstamped = 0;  // readings that wait because their boot has no time yet
  // Readings that the broker would drop in silence, and that were not sent.
  int64_t too_old = 0, too_new = 0;
  // Readings whose time was another one's before the clock was set back (repeats_utc()).
  int64_t repeated = 0;
  std::string trouble;  // "cannot be written, …: disk is full"; empty: none
  std::string warning;  // of what will not last; empty: none
  // When the running disk operation began (BootTime, ns); 0: not inside one. A reader says
  // `disk stalled for n s` when that is long ago.
  int64_t busy_since_ns = 0;

  // What the store thread had written to a disk; nothing where the kernel does not count it.
  std::optional<Written> wear;

  int64_t waiting() const { return totals.readings + staged; }
};

// What is stored about time.
struct StoredClock {
  bool complete = false;  // the outbox has been heard, or does not open
  WallView boot;          // this one
  int64_t high_water_ms = 0;
  std::vector<EndedBoot> ended;
};

class Store {
 public:
  // A text of others that the store keeps in a file on the disk: see keep_note().
  struct NoteFile {
    std::string path;
    // At the latest so long after it has changed. 0: with a flush, when an hour has passed since.
    std::chrono::nanoseconds period{};
  };
  struct Options {
    std::string folder;      // of the outbox
    std::string run_folder;  // of stage 1; on a tmpfs
    std::string boot_id;
    // A sample that is not acknowledged goes to the disk this long after it was appended, and with
    // it everything else that is not. With `disk_first` it is not sent before it is there.
    std::chrono::nanoseconds flush_interval{};
    bool disk_first = false;
    int64_t stage_bytes = int64_t{16} << 20;
    int64_t max_size = int64_t{512} << 20;  // of everything on the disk; see store/room.hpp
    std::chrono::nanoseconds max_age{};     // what is older is dropped; 0: none
    std::vector<NoteFile> notes = {};
    // For tests: the boot clock, in ms.
    std::function<int64_t()> now_ms = [] { return in_ms(BootClock::now()); };
  };
  struct Sinks {
    // Something up to this item_id can be fetched. From main and from the store thread.
    std::function<void(int64_t newest)> committed;
    // Rows up to this item_id are on the disk. From the store thread.
    std::function<void(int64_t newest_row)> stored;
    // The answer to fetch; empty: nothing after it. From the uplink's and from the store thread.
    std::function<void(Fetched)> chunks;
    // The disk has come up late, and has older things than what was fetched since.
    std::function<void()> backlog;
    std::function<void(const StoreStatus&)> status;  // on change, at most once a second
    std::function<void()> clock;                     // clock() has become complete, or is another
  };

  // Opens stage 1; where that fails, says so in the log and keeps it in memory. The store thread
  // does not run yet: whoever the sinks speak to may still be under construction.
  Store(Options options, Sinks sinks, SymbolTable& symbols);
  // Stops without waiting for more than what the disk is doing; see stop().
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Starts the thread. The outbox is opened on it; until that has worked, samples wait in stage 1,
  // and trouble says why.
  void start();

  // Main thread; does not wait. What stage 1 has no room for is counted as lost.
  void append(std::vector<DeviceSample> samples);
  // What may be thinned from now on, and what not; of what is not named nothing changes. Before
  // start(), or later.
  void set_keep(KeepRules rules);
  // Main thread. What was decided from clock(), which from then on takes it into account. Nothing
  // is sent with an epoch that is not stored: in stage 1, and on the disk if the disk has such
  // readings. Errors: Full, Io: nothing of it was kept; decide again.
  Result<> keep_clock(const ClockFacts& facts, const ClockDecision& decision);

  // Uplink's thread; does not wait. Nothing may be fetched of a lane before the answer to the last
  // one. Who asks for all, or for the custom lane, holds what was handed out of it up to `after`,
  // and nothing else.
  //
  // Live and backlog go beside each other. Live, from kBeforeAll on, begins anew: the answer has
  // the newest row of each device, and goes on after what is on the disk now. The backlog is all
  // rows, those as well that were handed out as live, or hold such samples: under the same ids, by
  // which who asks passes them over.
  void fetch(Lane lane, int64_t after, size_t max_points);
  // What waits of these devices is not handed out from now on, and is not held by the uplink.
  void set_aside(DeviceIds devices);
  void acknowledge(std::vector<int64_t> items);

  // Any thread. The text of one of options.notes. One with a period is written at once after the
  // start, when its period is over, and at stop(), whatever the outbox does. Others are not worth a
  // write of their own: once the outbox is open, with a flush when an hour has passed, and at
  // stop() if all else was stored. What cannot be written is tried again.
  void keep_note(size_t note, std::string text);

  // Any thread. Writes what waits into a pipe, between flushes: store/exports.hpp.
  Result<int64_t> start_export(ExportRequest request);
  Result<ExportOutcome> export_outcome(int64_t number) const;

  // Any thread.
  StoreStatus status() const;
  StoredClock clock() const;

  // Brings everything to the disk and ends the thread. False if the disk did not let it within
  // `limit`: what waits is left in stage 1, the thread is left behind, and the process may exit.
  bool stop(std::chrono::milliseconds limit);

 private:
  struct Thread;
  std::shared_ptr<Thread>
      thread_;  // two owners: this and the thread itself, which stop() may leave behind
};

}  // namespace fieldpost
