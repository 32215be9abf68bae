// SPDX-License-Identifier: Apache-2.0
//
// Stage 2 of the outbox: on the disk, in order, samples wait here that the broker did not
// acknowledge in time. One SQLite connection; everything is called from the store thread
// (store/store.hpp), which is the only one that waits for the disk.
//
// One row of it is a chunk: what one flush brought of one device (store/chunk.hpp). Names and
// Losant ids are in dictionary tables, so a backlog outlives the configuration it came from.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/clock_epochs.hpp"
#include "model/custom_device.hpp"
#include "model/keep.hpp"
#include "model/reading.hpp"
#include "model/time.hpp"
#include "store/database.hpp"
#include "store/export_text.hpp"
#include "store/handover.hpp"
#include "store/item_id.hpp"
#include "store/retention.hpp"
#include "store/stage_log.hpp"

namespace fieldpost {

// Something on its way out: a row, or a sample that is in stage 1 alone.
struct Chunk {
  int64_t row = 0;            // item_id
  Symbol device = nullptr;    // Losant id
  std::vector<State> states;  // ascending, times unique
};

// What is asked for of all that waits. Devices that are none (model/custom_device.hpp) have a lane
// of their own, and come in no other.
enum class Lane : uint8_t {
  All,      // oldest first
  Live,     // what is new
  Backlog,  // what is on the disk, oldest first
  Custom,   // of devices that are none, oldest first
};
inline bool belongs_to(std::string_view device, Lane lane) {
  return is_custom(device) == (lane == Lane::Custom);
}

// An answer.
struct Fetched {
  Lane lane = Lane::All;
  std::vector<Chunk> chunks;  // ids ascend
  // Live: all that waits after `from` and up to `up_to` is in `chunks`, and held by who asked; what
  // is between the place that was asked for and `from` has gone to the disk, and comes with the
  // backlog. Else `up_to` alone counts: where to go on.
  int64_t from = item_id::kBeforeAll;
  int64_t up_to = item_id::kBeforeAll;
  bool end = false;       // nothing was there
  bool has_gaps = false;  // what was there of devices that are set aside is not in `chunks`
};
// Devices, by Losant id, of which nothing is to be sent at present.
using DeviceIds = std::set<std::string, std::less<>>;

struct OutboxTotals {
  int64_t rows = 0;
  int64_t readings = 0;
  int64_t bytes = 0;          // of the rows, as they count for thinning
  int64_t file_bytes = 0;     // database and WAL
  int64_t oldest_utc_ms = 0;  // of the oldest row; 0 when empty, or when its time is not known
  int64_t unstamped = 0;      // readings whose boot has no epoch yet
  // Since the start:
  int64_t acknowledged = 0;  // readings
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
  using Made = MadeRow;
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
  Result<bool> has(int64_t row);

  // Rows after `after`, oldest first, until `max_points` readings are reached (at least one row).
  // Of rows that `handover` knows comes what it says, and nothing up to `after`: the ids of all
  // that is returned ascend. A row that cannot be decoded is counted, set aside and skipped. At a
  // row whose boot has no epoch it ends: nobody can say yet what its times are. What was handed out
  // in this lane beyond `after` is held no more, and in order (Lane::All) nothing else is but what
  // the custom lane holds. Rows of devices that are set aside, or belong to another lane, are
  // passed over, and count for `max_points`.
  Result<std::vector<Chunk>> fetch(int64_t after, size_t max_points, const Handover& handover = {},
                                   Lane lane = Lane::All, const DeviceIds& aside = {});
  struct LastFetch {
    int64_t up_to = item_id::kBeforeAll;  // where to go on; not less than `after`
    bool has_gaps = false;                // rows were passed over
    bool ended_unstamped = false;         // at a row whose boot has no epoch
  };
  const LastFetch& last_fetch() const;

  // The newest row of each device that has one among the last thousands, as fetch() returns it; of
  // the live lane only these are held then.
  Result<std::vector<Chunk>> fetch_newest(const Handover& handover = {},
                                          const DeviceIds& aside = {});

  // The rows may go; they are deleted with the next append, or by flush_deletes(), and are not
  // fetched again. Idempotent. Errors: Io (of rows that were not fetched).
  Result<> acknowledge(std::span<const int64_t> rows);
  // These samples were acknowledged, and others of their rows wait. The next transactions take them
  // out of their rows, so that a power cut does not bring them again.
  void take_out(std::span<const Handover::Part> parts);
  bool has_waiting_parts() const;
  bool has_waiting_deletes() const;
  size_t waiting_deletes() const;  // rows
  Result<> flush_deletes();        // parts as well
  // What is settled since this was asked last.
  Settled take_settled();

  // From then on this boot's times mean something else: the clock was set. One that is not later
  // than the last is known already. Stored with the next append, or by store_epochs().
  void add_epoch(Epoch epoch);
  // Of a boot in unstamped(), by its id; others have got theirs. Stored in the same way, and its
  // rows are fetched from then on.
  void add_epoch_of_ended(int64_t boot, Epoch epoch);
  // The high-water mark (model/clock_epochs.hpp), and UTC minus boot time as the system clock has
  // it, which is noted with a boot that has no epoch. Stored with what is written next, the mark
  // only when it has moved by a minute.
  void note_clock(int64_t high_water_ms, std::optional<int64_t> seen_offset_ms);
  bool has_waiting_epochs() const;
  // The mark has moved, up or down, so far that it is worth a write of its own: by an hour, or, at
  // the end, by a minute.
  bool mark_is_due(bool at_end) const;
  Result<> store_epochs();
  // Of this boot.
  const std::vector<Epoch>& epochs() const;
  // Other boots that have rows and no epoch, oldest first.
  const std::vector<EndedBoot>& unstamped() const;
  int64_t high_water_ms() const;

  // ---- Room: store/room.hpp decides what gives way; outbox_room.cpp carries it out.

  Result<Database::Space> space() { return database().space(); }
  Result<> limit_pages(int64_t pages) { return database().limit_pages(pages); }
  Result<> checkpoint() { return database().checkpoint(); }
  // Gives free pages back to the file system, by writing the others anew: for when they are few.
  Result<> shrink_file() { return database().exec("VACUUM"); }
  // The first row after this one of the table (whose numbers are not those of fetch()) that waits
  // to be sent. Held: it was fetched, or handed over, and is not acknowledged yet.
  Result<std::optional<RowSummary>> next_row(int64_t after, const Handover& handover);
  // When the row ends, as UTC; nothing if nobody knows the time of its boot.
  std::optional<int64_t> end_utc_ms(const RowSummary& row) const;
  // This moment of this boot as UTC; nothing as long as nobody knows.
  std::optional<int64_t> to_utc_ms(int64_t boot_ms) const;

  enum class Way : uint8_t {
    Thin,   // one round of thin(); the rows are of one device, boot and round
    Strip,  // only what is to be kept as Keep::All stays; the rows are joined by device
    Drop,   // nothing stays
  };
  // What went of an attribute; of rows that cannot be read nobody knows of which.
  struct Gone {
    Symbol device = nullptr, attribute = nullptr;
    int64_t readings = 0;
  };
  using KeepOf = std::function<Keep(Symbol device, Symbol attribute)>;
  // Rows of the table (ascending, as next_row() gave them) give way to what is left of them, in one
  // transaction, together with the deletes that wait. After an error all is as it was. Rows of
  // which one cannot be read stay, and next_row() offers them to this no more; but they are
  // dropped. Errors: Full, Io.
  Result<std::vector<Gone>> reduce(std::span<const int64_t> rows, Way way, const KeepOf& keep_of,
                                   Handover& handover);

  // For looking at what is there, without effect on what is fetched, from place to place (0: the
  // beginning; a place stays what it is when rows come and go). Left out is what was acknowledged,
  // and of rows that `seen` knows what it leaves out.
  struct Look {
    std::vector<WaitingReadings> readings;
    int64_t place = 0;  // to go on from
    bool end = false;   // there was nothing more
    int64_t damaged_rows = 0;
  };
  // Stops after `max_points` readings. Errors: Corrupt, Io.
  Result<Look> look(int64_t place, size_t max_points, const Handover& handover,
                    const Handover& seen);
  struct DeviceCount {
    int64_t rows = 0;
    int64_t readings = 0;
    int64_t oldest_utc_ms = 0;  // 0: none, or of a time that is not known yet
    int64_t newest_utc_ms = 0;  // of the beginning of its newest row

    // One more row; `utc_ms` is its first time, 0: not known.
    void add(int64_t more_readings, int64_t utc_ms) {
      ++rows;
      readings += more_readings;
      if (utc_ms == 0) return;
      oldest_utc_ms = oldest_utc_ms == 0 ? utc_ms : std::min(oldest_utc_ms, utc_ms);
      newest_utc_ms = std::max(newest_utc_ms, utc_ms);
    }
  };
  using DeviceCounts = std::map<std::string, DeviceCount>;  // by Losant id
  // Adds up to `max_rows` rows to `counts`, without reading their readings; `place`
  // goes on. False: there was nothing more. Errors: Corrupt, Io.
  Result<bool> count(int64_t& place, size_t max_rows, DeviceCounts& counts);
  int64_t newest_place() const;

  // Whether the database is where it was opened. If not, put_back() gives it its place again, and
  // then it is to be opened anew. Errors: those of fieldpost::put_back() (store/restore.hpp).
  bool in_place();
  Result<> put_back();

  const std::string& path() const;  // of the database
  int64_t newest_row() const;       // item_id::kBeforeAll if there never was one
  OutboxTotals totals() const;      // no disk access

 private:
  Database& database();
  struct Impl;
  explicit Outbox(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fieldpost
