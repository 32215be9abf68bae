// SPDX-License-Identifier: Apache-2.0
//
// The outbox: device samples wait here, in order, until the broker has acknowledged them. One
// SQLite connection; everything is called from the store thread (store/store.hpp), which is the
// only one that waits for the disk.
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

namespace fieldpost {

// A row on its way out. Symbols belong to the outbox and live as long as it.
struct Chunk {
  int64_t row = 0;  // ascending in the order of capture, never reused while the process lives
  Symbol device = nullptr;    // Losant id
  std::vector<State> states;  // ascending, times unique
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

// What wall time is now.
Epoch present_epoch();

class Outbox {
 public:
  // Opens the database in `folder`, creating or migrating it. `boot_id` names this boot: rows of
  // other boots are converted with their own epochs. This boot's first opening stores `now` as its
  // epoch; a later one only if the clock was set meanwhile (by more than a second), so that what
  // is sent again after a restart has the milliseconds it had before. Errors: Corrupt, Invalid
  // (written by a newer version that says we must not read it, or not ours; left untouched),
  // Unavailable (another process has it), Full, Io.
  static Result<Outbox> open(const std::string& folder, const std::string& boot_id,
                             Epoch now = present_epoch());
  Outbox(Outbox&&) noexcept;
  Outbox& operator=(Outbox&&) noexcept;
  ~Outbox();

  // Appends all or nothing, one row for each device, together with the deletes that wait. On
  // success it is on the medium. One fdatasync. Readings of one millisecond become one state. If
  // two are of the same attribute, the second starts a further row of its own: nothing is dropped
  // or overwritten here. Readings that no row can hold are left out and counted. After an
  // error nothing of it is there, and the caller tries again; only if the process ends before that
  // may the next one find it whole after all. Errors: Full, Io, Corrupt.
  Result<> append(std::span<const DeviceSample> samples);

  // Rows after `after`, oldest first, until `max_points` readings are reached (at least one row).
  // A row that cannot be decoded is counted, set aside and skipped.
  Result<std::vector<Chunk>> fetch(int64_t after, size_t max_points);

  // The rows, which fetch() has handed out, may go; they are deleted with the next append, or by
  // flush_deletes(), and are not fetched again. Idempotent.
  void acknowledge(std::span<const int64_t> rows);
  bool has_waiting_deletes() const;
  size_t waiting_deletes() const;  // rows
  Result<> flush_deletes();

  // From now on this boot's times mean something else: the clock was set. On the medium before
  // anything stamped with it is fetched.
  Result<> append_epoch(Epoch epoch);

  int64_t newest_row() const;   // 0 if there never was one
  OutboxTotals totals() const;  // no disk access

 private:
  struct Impl;
  explicit Outbox(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fieldpost
