// SPDX-License-Identifier: Apache-2.0
//
// Opening: taking up the log of an earlier process, the records of both files in the order of their
// writing, and moving that of another boot out of the way. And being opened when the files go.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "model/wire.hpp"
#include "store/stage_log.hpp"

namespace fieldpost {
namespace {

// Row numbers that a recovered log may hand out; behind that, rows are sent once more.
constexpr size_t kMaxRows = size_t{1} << 20;

// Calls each(first, last).
template <class F>
void take_runs(wire::Reader& in, int64_t (*decode)(uint64_t), F each) {
  uint64_t runs = 0;
  in(runs);
  for (uint64_t i = 0; i < runs && in.ok(); ++i) {
    uint64_t first = 0;
    uint64_t more = 0;
    in(first);
    in(more);
    int64_t last = 0;
    if (more > INT64_MAX ||
        __builtin_add_overflow(decode(first), static_cast<int64_t>(more), &last)) {
      return;
    }
    each(decode(first), last);
  }
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string before(int number) {
  return StageLog::kBefore + (number == 1 ? "" : "-" + std::to_string(number));
}

// Where it takes the place of no other log that has not gone to the disk yet, but joins its own
// other half. There are few places, as each takes memory: the last one is used again.
std::string place_aside(const std::string& base, uint64_t log, const std::string& folder) {
  for (int n = 1; n < StageLog::kMostBefore; ++n) {
    std::string place = folder + "/" + before(n);
    const bool free = std::ranges::all_of(std::array{".0", ".1"}, [&](const char* end) {
      if (!exists(place + end)) return true;
      const auto there = StageFile::header_of(place + end);
      return there && there->log == log && !exists(base + end);
    });
    if (free) return place;
  }
  return folder + "/" + before(StageLog::kMostBefore);
}

// Times of another boot: its owner is gone, and what is in the log goes to the disk from there.
Result<> move_aside(const std::string& base, const StageLog::Options& options) {
  StageFile::Header newer;
  for (const char* end : {".0", ".1"}) {
    const auto header = StageFile::header_of(base + end);
    if (header && header->generation > newer.generation) newer = *header;
  }
  if (newer.generation == 0 || newer.boot == options.boot_id) return {};
  const std::string place = place_aside(base, newer.log, options.folder);
  for (const char* end : {".0", ".1"}) {
    // One that is not there went before, when a process was killed between the two.
    const std::string aside = place + end;
    if (::rename((base + end).c_str(), aside.c_str()) != 0 && errno != ENOENT) {
      return Error::from_errno(errno, "move '" + base + end + "' aside");
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> StageLog::earlier_boots(const std::string& folder) {
  std::vector<std::string> names;
  for (int n = 1; n <= kMostBefore; ++n) {
    const std::string path = folder + "/" + before(n);
    if (exists(path + ".0") || exists(path + ".1")) names.push_back(before(n));
  }
  return names;
}

Result<std::unique_ptr<StageLog>> StageLog::open(const Options& options, SymbolTable& symbols) {
  const std::string base = options.folder + "/" + options.name;
  if (options.name == kThisBoot) FP_CHECK_OK(move_aside(base, options));
  StageFile first = FP_TRY(StageFile::open(base + ".0", options.bytes / 2));
  StageFile second = FP_TRY(StageFile::open(base + ".1", options.bytes / 2));
  std::unique_ptr<StageLog> log(
      new StageLog({.file = std::move(first)}, {.file = std::move(second)}, symbols));
  FP_CHECK_OK(log->recover(options));
  return log;
}

Result<std::unique_ptr<StageLog>> StageLog::open_to_read(const std::string& folder,
                                                         const std::string& name,
                                                         SymbolTable& symbols) {
  const std::string base = folder + "/" + name;
  StageFile first = FP_TRY(StageFile::open_to_read(base + ".0"));
  StageFile second = FP_TRY(StageFile::open_to_read(base + ".1"));
  if (first.header().generation == 0 && second.header().generation == 0) {
    return Error{Errc::NotFound, "nothing was ever written to '" + base + ".0'"};
  }
  std::unique_ptr<StageLog> log(
      new StageLog({.file = std::move(first)}, {.file = std::move(second)}, symbols));
  FP_CHECK_OK(log->recover({.folder = folder, .name = name}));
  return log;
}

Result<std::unique_ptr<StageLog>> StageLog::open_in_memory(const Options& options,
                                                           SymbolTable& symbols) {
  const std::string base = options.folder + "/" + options.name;
  StageFile first = FP_TRY(StageFile::open_in_memory(base + ".0", options.bytes / 2));
  StageFile second = FP_TRY(StageFile::open_in_memory(base + ".1", options.bytes / 2));
  std::unique_ptr<StageLog> log(
      new StageLog({.file = std::move(first)}, {.file = std::move(second)}, symbols));
  FP_CHECK_OK(log->begin_anew(options.boot_id));
  return log;
}

Result<bool> StageLog::stay_in_place() {
  const std::scoped_lock lock(mutex_);
  bool remade = false;
  // Twice: whoever clears the folder may be at it, and have been between the two.
  for (int pass = 0; pass < 2; ++pass) {
    for (File& file : files_) {
      if (file.file.in_place()) continue;
      FP_CHECK_OK(file.file.remake());
      remade = true;
    }
  }
  return remade;
}

Result<> StageLog::recover(const Options& options) {
  const StageFile::Header& first = files_[0].file.header();
  const StageFile::Header& second = files_[1].file.header();
  active_ = first.generation > second.generation ? 0 : 1;
  generation_ = std::max(first.generation, second.generation);
  if (generation_ == 0) return begin_anew(options.boot_id);
  id_ = files_[active_].file.header().log;
  boot_ = files_[active_].file.header().boot;
  const uint8_t older = active_ == 0 ? 1 : 0;
  // One that was begun for another log has nothing to say.
  const bool has_older = files_[older].file.header().log == id_;
  if (has_older) FP_CHECK_OK(scan(older));
  complete_ = false;
  FP_CHECK_OK(scan(active_));
  if (!complete_) {  // the process before could not, or had no time to, go over to it
    if (!has_older) return begin_anew(options.boot_id);
    active_ = older;
    generation_ = files_[older].file.header().generation;
  }
  FP_CHECK_OK(collect_late());
  forget_done();
  read_ = newest_;  // the process before may have been bringing all of that to the disk
  return {};
}

Result<> StageLog::scan(uint8_t file) {
  return files_[file].file.scan([&](int64_t offset, uint8_t type, std::span<const std::byte> body) {
    on_record(file, offset, type, body);
  });
}

// A record whose checksum holds was written by us; one that makes no sense all the same is passed
// over.
void StageLog::on_record(uint8_t file, int64_t offset, uint8_t type,
                         std::span<const std::byte> body) {
  wire::Reader in(body);
  uint64_t up_to = 0;
  uint64_t newest = 0;
  switch (type) {
    case kSamples:
      return on_samples(file, offset, body);
    case kAcknowledged:
      return on_acknowledged(body);
    case kFlushed:
      in(up_to);
      in(newest);
      if (!in.done() || newest > INT64_MAX / 2 || up_to > newest) return;
      complete_ = true;
      newest_ = std::max(newest_, static_cast<int64_t>(newest));
      return done_up_to(static_cast<int64_t>(up_to));
    case kEpoch:
      return on_epoch(body);
    case kLate:
      return on_late(file, body);
    default:
      return;
  }
}

void StageLog::on_samples(uint8_t file, int64_t offset, std::span<const std::byte> body) {
  StagedReader reader(body);
  reader.learn(files_[file].names, *symbols_);
  std::vector<size_t> readings;
  Staged staged;
  while (reader.next(files_[file].names, &staged)) readings.push_back(staged.sample.points.size());
  if (!reader.done() || readings.empty() || reader.first() <= newest_) return;
  complete_ = true;  // or they had gone to the file before
  // Appended long ago: it is due.
  add_entry({.first = reader.first(),
             .count = static_cast<uint32_t>(readings.size()),
             .file = file,
             .offset = offset});
  for (const size_t count : readings) add_waiting(count);
}

void StageLog::on_acknowledged(std::span<const std::byte> body) {
  wire::Reader in(body);
  uint64_t read = 0;
  in(read);
  const auto plain = [](uint64_t number) { return static_cast<int64_t>(number); };
  take_runs(in, plain, [&](int64_t first, int64_t last) {
    for_each(first, last, [&](Entry& entry, int64_t number) {
      done(entry, number);
      const bool late = number <= flushed_ || static_cast<uint64_t>(number) <= read;
      if (late) waiting(entry, number) = kDoneLate;
    });
  });
  take_runs(in, unzigzag, [this](int64_t first, int64_t last) {
    for (int64_t row = first; row <= last && notes_.rows.size() < kMaxRows; ++row) note_row(row);
  });
  uint64_t parts = 0;
  if (!in.done()) in(parts);
  for (uint64_t i = 0; i < parts; ++i) {
    uint64_t row = 0;
    uint64_t ms = 0;
    in(row);
    in(ms);
    if (!in.ok()) return;
    if (!notes_.rows.contains(unzigzag(row))) notes_.parts[unzigzag(row)].insert(unzigzag(ms));
  }
}

void StageLog::on_late(uint8_t file, std::span<const std::byte> body) {
  StagedReader reader(body);
  reader.learn(files_[file].names, *symbols_);
  Staged late;
  if (reader.next(files_[file].names, &late)) notes_.samples.push_back(std::move(late));
}

void StageLog::on_epoch(std::span<const std::byte> body) {
  wire::Reader in(body);
  uint64_t since = 0;
  uint64_t offset = 0;
  in(since);
  in(offset);
  uint64_t estimated = 0;  // absent: it is not
  if (!in.done()) in(estimated);
  const Epoch epoch{unzigzag(since), unzigzag(offset), estimated != 0};
  // Each file repeats those before it.
  if (!in.done() || (!epochs_.empty() && epochs_.back().since_ms >= epoch.since_ms)) return;
  epochs_.push_back(epoch);
}

Result<> StageLog::collect_late() {
  std::vector<std::byte> buffer;
  for (const Entry& entry : entries_) {
    const auto begin = waiting_.begin() + static_cast<ptrdiff_t>(entry.place);
    if (std::find(begin, begin + entry.count, kDoneLate) == begin + entry.count) continue;
    const auto body = FP_TRY(files_[entry.file].file.read(entry.offset, buffer));
    StagedReader reader(body);
    Staged staged;
    while (reader.next(files_[entry.file].names, &staged)) {
      if (waiting(entry, staged.number) != kDoneLate) continue;
      notes_.samples.push_back(std::move(staged));
    }
    std::replace(begin, begin + entry.count, kDoneLate, kDone);
  }
  // A file repeats what the one before has.
  std::ranges::stable_sort(notes_.samples, {}, &Staged::number);
  const auto again = std::ranges::unique(notes_.samples, {}, &Staged::number);
  notes_.samples.erase(again.begin(), again.end());
  return {};
}

}  // namespace fieldpost
