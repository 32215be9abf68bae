// SPDX-License-Identifier: Apache-2.0
//
// Stage 2 of the outbox: on the disk, in order, samples wait here that the broker did not
// acknowledge in time. One SQLite connection; everything is called from the store thread
// (store/store.hpp), which is the only one that waits for the disk.
//
// One row of it is a chunk: what one flush brought of one device (store/chunk.hpp). Names and
// Losant ids are in dictionary tables, so a backlog outlives the configuration it came from.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/reading.hpp"
#include "model/time.hpp"
#include "store/handover.hpp"
#include "store/item_id.hpp"
#include "store/stage_log.hpp"

namespace fieldpost {

// Something on its way out: a row, or a sample that is in stage 1 alone.
struct Chunk {
  int64_t row = 0;            // item_id
  Symbol device = nullptr;    // Losant id
  std::vector<State> states;  // ascending, times unique
};

// What is asked for of all that waits.
enum class Lane : uint8_t {
  All,      // oldest first
  Live,     // what is new
  Backlog,  // what is on the disk, oldest first
};

// An answer.
struct Fetched {
  Lane lane = Lane::All;
  std::vector<Chunk> chunks;  // ids ascend
  // Live: all that waits after `from` and up to `up_to` is in `chunks`, and held by who asked; what
  // is between the place that was asked for and `from` has gone to the disk, and comes with the
  // backlog. Else `up_to` alone counts: where to go on.
  int64_t from = item_id::kBeforeAll;
  int64_t up_to = item_id::kBeforeAll;
};

struct OutboxTotals {
  int64_t rows = 0;
  int64_t readings = 0;
  int64_t file_bytes = 0;     // database and WAL
  int64_t oldest_utc_ms = 0;  // of the oldest row; 0 when empty
  // Since the start:
  int64_t damaged_rows = 0;  // could not be decoded and were set aside
  int64_t damaged = 0;       // readings in them
  int64_t refused = 0;       // readings that no row can hold: text over 64 KiB, an absurd time
};

class Outbox {
 public:
  struct Options {
    std::string folder;
    std::string boot_id;    // names this boot: rows of other boots have epochs of their own
    uint64_t stage_id = 0;  // of the log that samples come from; it gives them their numbers
  };
  // A row that append() has made, and the samples in it.
  struct Made {
    int64_t row = 0;
    std::vector<Handover::Member> members;
  };
  // Opens the database in the folder, creating or migrating it. Symbols come from `symbols`.
  // Errors: Corrupt, Invalid (written by a newer version that says we must not read it, or not
  // ours; left untouched), Unavailable (another process has it), Full, Io.
  static Result<Outbox> open(const Options& options, SymbolTable& symbols);
  Outbox(Outbox&&) noexcept;
  Outbox& operator=(Outbox&&) noexcept;
  ~Outbox();

  // Appends all or nothing, one row for each device, together with the epochs and the deletes that
  // wait, and notes that everything up to sample `up_to` was brought. On success it is on the
  // medium. One fdatasync. Two samples of one device that have the same millisecond become two
  // rows: nothing is dropped or overwritten here. Readings that no row can hold are left out and
  // counted. After an error nothing of it is there, and the caller tries again; only if the process
  // ends before that may the next one find it whole after all. Errors: Full, Io, Corrupt.
  Result<> append(std::span<const Staged> samples, int64_t up_to);
  // The rows of the last append().
  const std::vector<Made>& made() const;
  // The last `up_to` of this log, 0 if there was none.
  int64_t flushed_up_to() const;
  // The row that holds the sample; 0 if none does.
  Result<int64_t> row_of(const Staged& sample);

  // Rows after `after`, oldest first, until `max_points` readings are reached (at least one row).
  // Of rows that `handover` knows comes what it says, and nothing up to `after`: the ids of all
  // that is returned ascend. A row that cannot be decoded is counted, set aside and skipped. At a
  // row of this boot while it has no epoch it ends: nobody can say yet what its times are.
  Result<std::vector<Chunk>> fetch(int64_t after, size_t max_points, const Handover& handover = {});

  // The newest row of each device that has one among the last thousands, as fetch() returns it.
  Result<std::vector<Chunk>> fetch_newest(const Handover& handover = {});

  // The rows may go; they are deleted with the next append, or by flush_deletes(), and are not
  // fetched again. Idempotent. Errors: Io (of rows that were not fetched).
  Result<> acknowledge(std::span<const int64_t> rows);
  bool has_waiting_deletes() const;
  size_t waiting_deletes() const;  // rows
  Result<> flush_deletes();

  // From then on this boot's times mean something else: the clock was set. One that is not later
  // than the last is known already. Stored with the next append, or by store_epochs().
  void add_epoch(Epoch epoch);
  bool has_waiting_epochs() const;
  Result<> store_epochs();
  // Of this boot.
  const std::vector<Epoch>& epochs() const;

  int64_t newest_row() const;   // item_id::kBeforeAll if there never was one
  OutboxTotals totals() const;  // no disk access

 private:
  struct Impl;
  explicit Outbox(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fieldpost
