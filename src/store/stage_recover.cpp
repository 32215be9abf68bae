// SPDX-License-Identifier: Apache-2.0
//
// Taking up the log of an earlier process: the records of both files in the order of their writing.
#include <algorithm>
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

}  // namespace

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
  FP_CHECK_OK(collect_recovered());
  forget_done();
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
  std::vector<int64_t>& rows = recovered_.acknowledged_rows;
  take_runs(in, unzigzag, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row <= last && rows.size() < kMaxRows; ++row) rows.push_back(row);
  });
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

Result<> StageLog::collect_recovered() {
  recovered_.epochs = epochs_;
  std::vector<std::byte> buffer;
  for (const Entry& entry : entries_) {
    const auto begin = waiting_.begin() + static_cast<ptrdiff_t>(entry.place);
    if (std::find(begin, begin + entry.count, kDoneLate) == begin + entry.count) continue;
    const auto body = FP_TRY(files_[entry.file].file.read(entry.offset, buffer));
    StagedReader reader(body);
    Staged staged;
    while (reader.next(files_[entry.file].names, &staged)) {
      if (waiting(entry, staged.number) != kDoneLate) continue;
      recovered_.acknowledged.push_back(std::move(staged));
    }
    std::replace(begin, begin + entry.count, kDoneLate, kDone);
  }
  return {};
}

}  // namespace fieldpost
