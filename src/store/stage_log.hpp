// SPDX-License-Identifier: Apache-2.0
//
// Stage 1 of the outbox: what was read and is neither acknowledged by the broker nor on the disk
// yet. A log of two preallocated files on a tmpfs, used in turn, so it survives whatever ends this
// process, costs no disk write, and no stalled disk holds it up. It is also the queue between the
// threads: main appends, the uplink reads and acknowledges, the store thread reads what has to go
// to the disk. Any thread; the lock is held for one write to the tmpfs at the most.
//
// Samples are numbered from 1 in the order of appending. Everything up to flushed_up_to() is on the
// disk; of what comes after it, what is not acknowledged is pending. A file is used again when
// nothing in it is pending.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "model/reading.hpp"
#include "model/time.hpp"
#include "store/row_set.hpp"
#include "store/stage_file.hpp"

namespace fieldpost {

// A sample and its number in the log.
struct Staged {
  int64_t number = 0;
  DeviceSample sample;
};

class StageLog {
 public:
  struct Options {
    std::string folder;                 // on a tmpfs
    std::string name = "stage";         // of the files: NAME.0 and NAME.1
    int64_t bytes = int64_t{16} << 20;  // of both together
    std::string boot_id;
  };
  // What is left to do of an earlier process of this boot.
  struct Recovered {
    std::vector<int64_t> rows;    // of the outbox, acknowledged, that may still be there
    std::vector<Staged> samples;  // acknowledged, and perhaps on the disk all the same
  };
  // What a flush meets of the uplink's doings.
  struct Flushed {
    int64_t held = 0;     // up to this number take() has handed out
    RowSet acknowledged;  // numbers, while the flush was on its way
  };

  // Takes up the log of an earlier process of this boot, or begins a new one; that of another boot
  // is moved aside to before.0 and before.1. Symbols come from `symbols`. Errors: Full (no room for
  // its files), Io.
  static Result<std::unique_ptr<StageLog>> open(const Options& options, SymbolTable& symbols);
  // As good, except that it ends with the process: for when open() has failed. Errors: Full, Io.
  static Result<std::unique_ptr<StageLog>> open_in_memory(const Options& options,
                                                          SymbolTable& symbols);
  StageLog(const StageLog&) = delete;
  StageLog& operator=(const StageLog&) = delete;

  uint64_t id() const { return id_; }  // random; of this log and no other
  const std::string& boot() const { return boot_; }
  // To be asked once, with what the outbox says is on the disk.
  Recovered take_recovered(int64_t flushed_up_to);

  // All of them, or none. Errors: Full (both files hold what is pending), Invalid (more than a file
  // holds), Io.
  Result<> append(std::span<const DeviceSample> samples);
  // From now on wall time is another view on boot time. Kept as long as the log.
  Result<> append_epoch(Epoch epoch);
  // Samples are acknowledged, and rows of the outbox that were made of others.
  Result<> acknowledge(std::span<const int64_t> samples, std::span<const int64_t> rows);
  // Everything up to this number is on the disk, or acknowledged; from now on read() and take()
  // give nothing of it. That it cannot be written down costs nothing: the outbox knows it as well.
  Flushed flushed(int64_t up_to);

  // Pending samples after this number, oldest first, until there are `max_points` readings (at
  // least one sample). Errors: Corrupt, Io.
  Result<std::vector<Staged>> read(int64_t after, size_t max_points) const;
  // The same for the uplink, which from then on holds them. Nothing, not even an empty list, when
  // more than what it has is on the disk: then that comes first.
  Result<std::optional<std::vector<Staged>>> take(int64_t after, size_t max_points);

  int64_t newest() const;  // 0: none yet
  int64_t flushed_up_to() const;
  // When the oldest pending sample was appended; nothing if none is pending.
  std::optional<BootTime> oldest() const;
  int64_t pending_readings() const;
  std::vector<Epoch> epochs() const;

 private:
  enum Type : uint8_t { kName = 1, kSamples = 2, kAcknowledged = 3, kFlushed = 4, kEpoch = 5 };
  // Samples that were appended together: one record.
  struct Entry {
    int64_t first = 0;  // number
    uint32_t count = 0;
    uint32_t open = 0;      // samples that are not acknowledged
    uint32_t readings = 0;  // of all
    uint8_t file = 0;
    int64_t offset = 0;
    BootTime appended{};
    int64_t last() const { return first + count - 1; }
  };
  // One of the two files, and the names that its records refer to by number.
  struct File {
    StageFile file;
    std::vector<Symbol> names;
    std::unordered_map<Symbol, uint32_t> numbers;
    size_t cursor = 0;  // where the next name probably stands
  };

  StageLog(File first, File second, SymbolTable& symbols);
  static Result<std::unique_ptr<StageLog>> recover(std::unique_ptr<StageLog> log,
                                                   const Options& options);
  Result<> begin_anew(const std::string& boot);
  Result<> scan(uint8_t file);
  void on_record(uint8_t file, int64_t offset, uint8_t type, std::span<const std::byte> body);
  void note_acknowledged(std::span<const std::byte> body);
  void count_recovered();

  Result<> turn();
  Result<> put(Type type, std::span<const std::byte> body);
  Result<uint32_t> number_of(Symbol name);
  Result<> encode_for_active(std::span<const DeviceSample> samples);
  Result<> encode(std::span<const DeviceSample> samples);
  Result<std::vector<Staged>> decode(uint8_t file, std::span<const std::byte> body) const;
  void acknowledge_one(int64_t number);
  void forget_done();
  Result<std::vector<Staged>> read_pending(int64_t after, size_t max_points) const;

  mutable std::mutex mutex_;  // guards all below, but id_ and boot_, which do not change
  SymbolTable* symbols_;
  uint64_t id_ = 0;
  std::string boot_;
  std::vector<File> files_;  // two
  uint8_t active_ = 0;
  uint64_t generation_ = 0;
  int64_t newest_ = 0;
  int64_t flushed_ = 0;
  int64_t held_ = 0;
  std::deque<Entry> entries_;  // ascending; the first one has something pending
  RowSet acknowledged_;        // numbers above flushed_
  int64_t pending_readings_ = 0;
  std::vector<Epoch> epochs_;
  std::vector<std::byte> body_;
  // For take_recovered().
  std::vector<int64_t> recovered_rows_;
  std::deque<Entry> recovered_entries_;
  RowSet recovered_samples_;
};

}  // namespace fieldpost
