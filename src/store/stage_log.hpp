// SPDX-License-Identifier: Apache-2.0
//
// Stage 1 of the outbox: what was read and is neither acknowledged by the broker nor on the disk
// yet. A log of two preallocated files on a tmpfs, used in turn, so it survives whatever ends this
// process, costs no disk write, and no stalled disk holds it up. It is also the queue between the
// threads: main appends, the uplink reads and acknowledges, the store thread reads what has to go
// to the disk. Any thread; the lock is held while one record is written to the tmpfs, or those are
// read and decoded that were asked for.
//
// Samples are numbered from 1 in the order of appending. Everything up to flushed_up_to() is on the
// disk; of what comes after it, what is not acknowledged is pending. A file is used again when
// nothing in it is pending.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "model/custom_device.hpp"
#include "model/reading.hpp"
#include "model/time.hpp"
#include "store/handover.hpp"
#include "store/row_set.hpp"
#include "store/stage_file.hpp"
#include "store/stage_record.hpp"

namespace fieldpost {

class StageLog {
 public:
  static constexpr const char* kThisBoot = "stage";
  struct Options {
    std::string folder;            // on a tmpfs
    std::string name = kThisBoot;  // of the files: NAME.0 and NAME.1; or one of earlier_boots()
    int64_t bytes =
        int64_t{16} << 20;  // of both; 32 KiB of each are kept for acknowledgements; 0: as they are
    std::string boot_id;    // as boot_id() gives it
  };
  // What is acknowledged and on the disk nevertheless, or may be, until settle() says that it is
  // not any more: by this process, or by an earlier one of this boot.
  struct Notes {
    RowSet rows;  // of the outbox
    // Of rows of which others wait: the times in them, as Handover has them.
    std::map<int64_t, std::set<int64_t>> parts;
    // Of rows that are not known: what a flush is taking, or may have been when its process ended.
    // Ascending, each once, and those of an earlier process as they were; others without readings.
    std::vector<Staged> samples;
  };
  // What other boots have left: before.0 and .1, then before-2.0 and .1, … The oldest come first.
  static constexpr const char* kBefore = "before";
  static constexpr int kMostBefore = 4;
  static std::vector<std::string> earlier_boots(const std::string& folder);

  // Takes up the log of an earlier process of this boot, or begins a new one; that of another boot
  // is moved aside to the first of the names of earlier_boots() that is free (or the last of them),
  // and taken up from there if that is the name asked for.
  // Symbols come from `symbols`. Errors: Full (no room for its files), NotFound (no folder), Io.
  static Result<std::unique_ptr<StageLog>> open(const Options& options, SymbolTable& symbols);
  // The log that an earlier process has left, of whatever boot, to look at: it stays as it is, and
  // nothing may be written to it. Errors: NotFound (there is none), Io.
  static Result<std::unique_ptr<StageLog>> open_to_read(const std::string& folder,
                                                        const std::string& name,
                                                        SymbolTable& symbols);
  // As good, except that it ends with the process: for when open() has failed. stay_in_place()
  // gives it files as soon as there can be some. Errors: Full, Io.
  static Result<std::unique_ptr<StageLog>> open_in_memory(const Options& options,
                                                          SymbolTable& symbols);
  StageLog(const StageLog&) = delete;
  StageLog& operator=(const StageLog&) = delete;

  // Makes the files again if they were removed, with all that is in them; true if that was so.
  // Errors: Full, Unavailable (another log's files stand there), Io: it goes on in memory.
  Result<bool> stay_in_place();

  uint64_t id() const { return id_; }  // random; of this log and no other
  const std::string& boot() const { return boot_; }

  Notes notes() const;
  // Whoever has the rows has looked: this is where notes().samples are, as far as flushed() goes.
  void found(std::span<const Handover::Part> parts);
  void settle(const Settled& settled);
  // These rows of flushed() are not held by the uplink after all.
  void not_held(std::span<const int64_t> rows);

  // All of them, or none. Errors: Full (both files hold what is pending), Invalid (more than a file
  // holds), Io.
  Result<> append(std::span<const DeviceSample> samples);
  // From now on wall time is another view on boot time. Kept as long as the log.
  Result<> append_epoch(Epoch epoch);
  // Samples are acknowledged, and rows of the outbox that were made of others. What is not pending
  // or no sample at all is passed over. Errors: Full, Io: it is done, but a later process will not
  // know.
  Result<> acknowledge(std::span<const int64_t> samples, std::span<const int64_t> rows);
  // What a flush meets of the uplink's doings.
  struct Flushed {
    int64_t held = 0;         // up to this number take() has handed out
    int64_t held_custom = 0;  // the same of devices that are none
    int64_t held_of(std::string_view device) const {
      return is_custom(device) ? held_custom : held;
    }
    RowSet acknowledged;  // numbers that were, after read() had given them to the disk
  };
  // Everything up to this number is on the disk, or acknowledged; new numbers are higher. From now
  // on read() and take() give nothing up to this number. That it cannot be written down costs
  // nothing: the outbox knows it as well. `made`: the rows that hold it.
  Flushed flushed(int64_t up_to, std::span<const MadeRow> made = {});

  // Pending samples after this number up to `last`, oldest first, until there are `max_points`
  // readings or more would be more than `max_bytes` of sample_bytes() (at least one sample), for
  // the disk. flushed() or not_flushed() says what became of them. A record that cannot be read any
  // more is passed over, and counted in damaged(). Errors: Io.
  Result<std::vector<Staged>> read(int64_t after, size_t max_points, int64_t max_bytes = INT64_MAX,
                                   int64_t last = INT64_MAX);
  // What read() gave and is not wanted any more: its memory serves the next read().
  void recycle(std::vector<Staged> read);
  // Those after this number, until there are `max_points` readings, for looking at, without any
  // effect. Errors: Io.
  Result<std::vector<Staged>> look(int64_t after, size_t max_points) const;
  // The same for the uplink, which from then on holds those of devices, or, if `custom`, of devices
  // that are none; it has a place for each. Nothing, not even an empty list, where more than what
  // it has is on the disk: then that comes first.
  Result<std::optional<std::vector<Staged>>> take(int64_t after, size_t max_points,
                                                  bool custom = false);
  int64_t held() const;  // up to this number

  // Of the file that has the oldest pending sample, all that is pending, oldest first. It is so no
  // more, and the file can be used again: for what the caller appends of it anew, under new
  // numbers. A process that ends before that has lost it. What the disk is just taking is not among
  // it; it becomes pending again by not_flushed(). Errors: Corrupt, Io.
  Result<std::vector<Staged>> evict();
  // The disk did not take what read() gave. Returns the readings that found no room any more.
  int64_t not_flushed();

  int64_t newest() const;  // 0: none yet
  int64_t flushed_up_to() const;
  // When the oldest pending sample was appended; nothing if none is pending.
  std::optional<BootTime> oldest() const;
  int64_t pending_readings() const;
  // How much of the files is taken up from the oldest pending sample on, in percent.
  int64_t percent_used() const;
  int64_t damaged() const;  // readings in records that could not be read, since the start
  std::vector<Epoch> epochs() const;

 private:
  enum Type : uint8_t {
    kSamples = 1,
    kAcknowledged = 2,
    kFlushed = 3,
    kEpoch = 4,
    kLate = 5,  // one of Notes::samples, repeated
  };
  // Samples that were appended together: one record.
  struct Entry {
    int64_t first = 0;   // number
    uint64_t place = 0;  // of the first sample in waiting_, if none had ever left that
    uint32_t count = 0;
    uint32_t open = 0;  // pending samples
    uint8_t file = 0;
    int64_t offset = 0;
    BootTime appended{};
    int64_t last() const { return first + count - 1; }
  };
  // One of the two files, and the names that its records refer to by number.
  struct File {
    StageFile file;
    StageNames names;
  };
  // What is read one by one, into memory that may be there already.
  struct Reading {
    int64_t after = 0;  // what is asked for: samples with higher numbers,
    size_t max_points = 0;
    std::vector<Staged> read;
    size_t taken = 0;  // of `read`
    size_t points = 0;

    bool enough() const { return points >= max_points && taken > 0; }
    int64_t newest() const { return taken == 0 ? 0 : read[taken - 1].number; }
    // Where to put the next one, which counts only when it is taken.
    Staged& next() { return taken < read.size() ? read[taken] : read.emplace_back(); }
    void take_next() { points += read[taken++].sample.points.size(); }
    std::vector<Staged> result() && {
      read.resize(taken);
      return std::move(read);
    }
  };
  // Of each file, for what is no sample: acknowledgements must find room when samples do not, as
  // they are what makes room.
  static constexpr size_t kReserve = size_t{32} << 10;
  static constexpr uint32_t kDone = 0;
  static constexpr uint32_t kDoneLate = UINT32_MAX;  // while recovering: for Notes::samples

  StageLog(File first, File second, SymbolTable& symbols);
  Result<> recover(const Options& options);
  Result<> begin_anew(const std::string& boot);
  Result<> scan(uint8_t file);
  void on_record(uint8_t file, int64_t offset, uint8_t type, std::span<const std::byte> body);
  void on_samples(uint8_t file, int64_t offset, std::span<const std::byte> body);
  void on_acknowledged(std::span<const std::byte> body);
  void on_late(uint8_t file, std::span<const std::byte> body);
  void on_epoch(std::span<const std::byte> body);
  Result<> collect_late();

  Result<> turn();
  Result<> put_acknowledged(const RowSet& samples, std::span<const int64_t> rows,
                            std::span<const Handover::Part> parts);
  void note_row(int64_t row);
  void note_late(int64_t number);
  void note_made(std::span<const MadeRow> made);
  static bool has_room_to_repeat(const File& file, size_t body);
  Result<> repeat_notes(File& file);
  static Result<bool> repeat(File& file, Type type, std::span<const std::byte> body);
  Result<> put(Type type, std::span<const std::byte> body);
  Result<int64_t> put_samples(std::span<const DeviceSample> samples);
  void add_entry(Entry entry);
  void add_waiting(size_t readings);
  std::vector<std::byte> flushed_body() const;
  uint32_t& waiting(const Entry& entry, int64_t number);
  uint32_t waiting(const Entry& entry, int64_t number) const;
  // Calls `each(entry, number)` for the numbers of [first, last] that there are.
  template <class F>
  void for_each(int64_t first, int64_t last, F each);
  void done(Entry& entry, int64_t number);
  void done_up_to(int64_t number);
  void forget_done();
  Result<std::vector<Staged>> read_pending(int64_t after, size_t max_points, int64_t last,
                                           std::vector<Staged> read = {});
  Result<> read_entry(const Entry& entry, std::vector<std::byte>& buffer, Reading& reading) const;
  void give_up(Entry& entry, int64_t after);

  mutable std::mutex mutex_;  // guards all below, but id_ and boot_, which do not change
  SymbolTable* symbols_;
  uint64_t id_ = 0;
  std::string boot_;
  std::vector<File> files_;  // two
  uint8_t active_ = 0;
  uint64_t generation_ = 0;
  bool complete_ = false;  // while recovering: the file says how far the disk has come
  int64_t newest_ = 0;
  int64_t flushed_ = 0;
  int64_t held_ = 0, held_custom_ = 0;
  int64_t read_ = 0;                  // up to here read() has given samples to the disk
  int64_t in_flight_ = 0;             // which is taking them, up to this one; 0: it is not
  std::vector<DeviceSample> flying_;  // of those, what was evicted meanwhile
  RowSet late_;                       // acknowledged since
  Handover handed_;                   // rows that have what the uplink had taken, or may have
  std::deque<Entry> entries_;         // ascending; the first one has something pending
  // Of each sample of entries_: kDone, or, while it is pending, 1 + the number of its readings.
  std::deque<uint32_t> waiting_;
  int64_t pending_readings_ = 0;
  int64_t damaged_ = 0;
  std::vector<Epoch> epochs_;
  std::vector<std::byte> buffer_, read_buffer_;
  std::vector<Staged> spare_;
  Notes notes_;
};

template <class F>
void StageLog::for_each(int64_t first, int64_t last, F each) {
  auto entry = std::ranges::lower_bound(entries_, first, {}, &Entry::last);
  for (; entry != entries_.end() && entry->first <= last; ++entry) {
    const int64_t end = std::min(last, entry->last());
    for (int64_t n = std::max(first, entry->first); n <= end; ++n) each(*entry, n);
  }
}

}  // namespace fieldpost
