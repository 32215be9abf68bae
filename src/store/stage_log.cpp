// SPDX-License-Identifier: Apache-2.0
#include "store/stage_log.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <numeric>
#include <utility>

#include "model/symbol.hpp"
#include "model/wire.hpp"

namespace fieldpost {
namespace {

// Bounds that a reader of a record keeps; what is written never comes near.
constexpr size_t kMaxRanges = 65'536;
// Of each file, for what is no sample: acknowledgements must find room when samples do not, as they
// are what makes room.
constexpr size_t kReserve = size_t{32} << 10;

uint64_t zigzag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
int64_t unzigzag(uint64_t v) { return static_cast<int64_t>((v >> 1) ^ (~(v & 1) + 1)); }

// Numbers in ascending order as runs: first, and how many follow.
void put_runs(wire::Writer& out, std::span<const int64_t> numbers) {
  std::vector<int64_t> sorted(numbers.begin(), numbers.end());
  std::ranges::sort(sorted);
  std::vector<std::pair<int64_t, uint64_t>> runs;
  for (const int64_t number : sorted) {
    if (!runs.empty() && number <= runs.back().first + static_cast<int64_t>(runs.back().second)) {
      continue;
    }
    if (!runs.empty() &&
        number == runs.back().first + static_cast<int64_t>(runs.back().second) + 1) {
      ++runs.back().second;
    } else {
      runs.emplace_back(number, 0);
    }
  }
  out(uint64_t{runs.size()});
  for (const auto& [first, more] : runs) {
    out(zigzag(first));
    out(more);
  }
}

template <class F>
void take_runs(wire::Reader& in, F each) {
  uint64_t runs = 0;
  in(runs);
  for (uint64_t i = 0; i < std::min<uint64_t>(runs, kMaxRanges) && in.ok(); ++i) {
    uint64_t first = 0;
    uint64_t more = 0;
    in(first);
    in(more);
    for (uint64_t k = 0; k <= std::min<uint64_t>(more, kMaxRanges) && in.ok(); ++k) {
      each(unzigzag(first) + static_cast<int64_t>(k));
    }
  }
}

uint32_t readings_of(std::span<const DeviceSample> samples) {
  return std::accumulate(samples.begin(), samples.end(), uint32_t{0},
                         [](uint32_t sum, const DeviceSample& s) {
                           return sum + static_cast<uint32_t>(s.points.size());
                         });
}

Error damaged(const char* what) { return {Errc::Corrupt, std::string("stage 1: ") + what}; }

}  // namespace

// ---- Opening.

StageLog::StageLog(File first, File second, SymbolTable& symbols) : symbols_(&symbols) {
  files_.push_back(std::move(first));
  files_.push_back(std::move(second));
}

Result<std::unique_ptr<StageLog>> StageLog::open(const Options& options, SymbolTable& symbols) {
  const std::string base = options.folder + "/" + options.name;
  for (int attempt = 0;; ++attempt) {
    StageFile first = FP_TRY(StageFile::open(base + ".0", options.bytes / 2));
    StageFile second = FP_TRY(StageFile::open(base + ".1", options.bytes / 2));
    const StageFile& newer =
        first.header().generation > second.header().generation ? first : second;
    const bool foreign =
        newer.header().generation != 0 && newer.header().boot != options.boot_id && attempt == 0;
    if (!foreign) {
      std::unique_ptr<StageLog> log(
          new StageLog({.file = std::move(first)}, {.file = std::move(second)}, symbols));
      return recover(std::move(log), options);
    }
    // Times of another boot. Its owner is gone; what is in it goes to the disk from there.
    for (const char* end : {".0", ".1"}) {
      if (::rename((base + end).c_str(), (options.folder + "/before" + end).c_str()) != 0) {
        return Error::from_errno(errno, "move '" + base + end + "' aside");
      }
    }
  }
}

Result<std::unique_ptr<StageLog>> StageLog::open_in_memory(const Options& options,
                                                           SymbolTable& symbols) {
  StageFile first = FP_TRY(StageFile::open_in_memory(options.bytes / 2));
  StageFile second = FP_TRY(StageFile::open_in_memory(options.bytes / 2));
  std::unique_ptr<StageLog> log(
      new StageLog({.file = std::move(first)}, {.file = std::move(second)}, symbols));
  FP_CHECK_OK(log->begin_anew(options.boot_id));
  return log;
}

Result<std::unique_ptr<StageLog>> StageLog::recover(std::unique_ptr<StageLog> log,
                                                    const Options& options) {
  const StageFile::Header& first = log->files_[0].file.header();
  const StageFile::Header& second = log->files_[1].file.header();
  const uint8_t newer = first.generation > second.generation ? 0 : 1;
  log->generation_ = std::max(first.generation, second.generation);
  if (log->generation_ == 0) {
    FP_CHECK_OK(log->begin_anew(options.boot_id));
    return log;
  }
  const StageFile::Header& header = log->files_[newer].file.header();
  log->id_ = header.log;
  log->boot_ = header.boot;
  log->active_ = newer;
  const uint8_t older = newer == 0 ? 1 : 0;
  // One that was begun for another log has nothing to say.
  if (log->files_[older].file.header().log == log->id_) FP_CHECK_OK(log->scan(older));
  FP_CHECK_OK(log->scan(newer));
  log->count_recovered();
  log->forget_done();
  return log;
}

Result<> StageLog::begin_anew(const std::string& boot) {
  boot_ = boot;
  if (::getrandom(&id_, sizeof id_, 0) != sizeof id_) return Error::from_errno(errno, "getrandom");
  id_ >>= 1;  // it fits into an SQLite integer
  active_ = 1;
  return turn();
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
  uint64_t a = 0;
  uint64_t b = 0;
  switch (type) {
    case kName:
      files_[file].names.push_back(symbols_->intern(
          std::string_view(reinterpret_cast<const char*>(body.data()), body.size())));
      files_[file].numbers.emplace(files_[file].names.back(),
                                   static_cast<uint32_t>(files_[file].names.size() - 1));
      break;
    case kSamples: {
      const auto samples = decode(file, body);
      if (!samples || samples->empty()) break;
      Entry entry{.first = samples->front().number,
                  .count = static_cast<uint32_t>(samples->size()),
                  .open = static_cast<uint32_t>(samples->size()),
                  .file = file,
                  .offset = offset,
                  .appended = BootTime{}};  // long ago: it is due
      for (const Staged& s : *samples) {
        entry.readings += static_cast<uint32_t>(s.sample.points.size());
      }
      newest_ = std::max(newest_, entry.last());
      entries_.push_back(entry);
      break;
    }
    case kAcknowledged:
      note_acknowledged(body);
      break;
    case kFlushed:
      in(a);
      if (in.done()) flushed_ = std::max(flushed_, static_cast<int64_t>(a));
      break;
    case kEpoch: {
      bool estimated = false;
      in(a);
      in(b);
      in(estimated);
      const Epoch epoch{unzigzag(a), unzigzag(b)};
      if (in.done() && (epochs_.empty() || epochs_.back().since_ms < epoch.since_ms)) {
        epochs_.push_back(epoch);
      }
      break;
    }
    default:
      break;
  }
}

void StageLog::note_acknowledged(std::span<const std::byte> body) {
  wire::Reader in(body);
  take_runs(in, [this](int64_t number) { acknowledged_.insert(number); });
  take_runs(in, [this](int64_t row) { recovered_rows_.push_back(row); });
}

void StageLog::count_recovered() {
  recovered_entries_ = entries_;
  recovered_samples_ = std::exchange(acknowledged_, {});
  for (const Entry& entry : entries_) pending_readings_ += entry.readings;
  for (const auto& [first, last] : recovered_samples_) {
    for (int64_t n = std::max(first, flushed_ + 1); n <= last; ++n) acknowledge_one(n);
  }
}

// The earlier process may have brought samples to the disk that were acknowledged meanwhile.
StageLog::Recovered StageLog::take_recovered(int64_t flushed_up_to) {
  const std::scoped_lock lock(mutex_);
  Recovered recovered{.rows = std::exchange(recovered_rows_, {}), .samples = {}};
  for (const Entry& entry : std::exchange(recovered_entries_, {})) {
    if (entry.first > flushed_up_to) break;
    const auto body = files_[entry.file].file.read(entry.offset);
    if (!body) continue;  // the file has been used again since
    auto samples = decode(entry.file, *body);
    if (!samples) continue;
    for (Staged& s : *samples) {
      if (s.number <= flushed_up_to && recovered_samples_.contains(s.number)) {
        recovered.samples.push_back(std::move(s));
      }
    }
  }
  recovered_samples_.clear();
  return recovered;
}

// ---- Writing.

Result<> StageLog::append(std::span<const DeviceSample> samples) {
  if (samples.empty()) return {};
  const std::scoped_lock lock(mutex_);
  FP_CHECK_OK(encode_for_active(samples));
  const int64_t offset = FP_TRY(files_[active_].file.append(kSamples, body_));
  const auto count = static_cast<uint32_t>(samples.size());
  entries_.push_back({.first = newest_ + 1,
                      .count = count,
                      .open = count,
                      .readings = readings_of(samples),
                      .file = active_,
                      .offset = offset,
                      .appended = BootClock::now()});
  newest_ += count;
  pending_readings_ += entries_.back().readings;
  return {};
}

// Names have numbers of their own in each file: what was encoded for one says nothing in the other.
Result<> StageLog::encode_for_active(std::span<const DeviceSample> samples) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    const uint8_t file = active_;
    FP_CHECK_OK(encode(samples));
    if (file != active_) continue;
    if (files_[active_].file.has_room(body_.size() + kReserve)) return {};
    FP_CHECK_OK(turn());
  }
  return Error{Errc::Invalid, "samples of " + std::to_string(body_.size()) +
                                  " bytes are more than stage 1 takes at once"};
}

// Into body_; new names go to the file at once.
Result<> StageLog::encode(std::span<const DeviceSample> samples) {
  body_.clear();
  std::vector<std::byte> body = std::move(body_);
  wire::Writer out(body);
  out(static_cast<uint64_t>(newest_ + 1));
  out(uint64_t{samples.size()});
  for (const DeviceSample& sample : samples) {
    out(FP_TRY(number_of(sample.device)));
    out(sample.time.base == CaptureTime::Base::Utc);
    out(zigzag(sample.time.ms));
    out(uint64_t{sample.points.size()});
    for (const Point& point : sample.points) {
      out(FP_TRY(number_of(point.attribute)));
      out(point.value);
    }
  }
  body_ = std::move(body);
  return {};
}

Result<uint32_t> StageLog::number_of(Symbol name) {
  File& file = files_[active_];
  if (file.cursor >= file.names.size()) file.cursor = 0;
  if (file.names.empty() || file.names[file.cursor] != name) {
    const auto known = file.numbers.find(name);
    if (known == file.numbers.end()) {
      FP_CHECK_OK(put(kName, std::as_bytes(std::span(*name))));
      // put() may have turned to the other file, which has none yet.
      File& now = files_[active_];
      now.names.push_back(name);
      now.numbers.emplace(name, static_cast<uint32_t>(now.names.size() - 1));
      now.cursor = now.names.size() - 1;
      return static_cast<uint32_t>(now.cursor++);
    }
    file.cursor = known->second;
  }
  return static_cast<uint32_t>(file.cursor++);
}

Result<> StageLog::append_epoch(Epoch epoch) {
  const std::scoped_lock lock(mutex_);
  if (!epochs_.empty()) epoch.since_ms = std::max(epoch.since_ms, epochs_.back().since_ms + 1);
  std::vector<std::byte> body;
  wire::Writer out(body);
  out(zigzag(epoch.since_ms));
  out(zigzag(epoch.offset_ms));
  out(false);
  FP_CHECK_OK(put(kEpoch, body));
  epochs_.push_back(epoch);
  return {};
}

Result<> StageLog::acknowledge(std::span<const int64_t> samples, std::span<const int64_t> rows) {
  if (samples.empty() && rows.empty()) return {};
  const std::scoped_lock lock(mutex_);
  for (const int64_t number : samples) acknowledge_one(number);
  forget_done();
  std::vector<std::byte> body;
  wire::Writer out(body);
  put_runs(out, samples);
  put_runs(out, rows);
  return put(kAcknowledged, body);
}

StageLog::Flushed StageLog::flushed(int64_t up_to) {
  const std::scoped_lock lock(mutex_);
  Flushed result{.held = held_, .acknowledged = acknowledged_};
  if (up_to <= flushed_) return result;
  flushed_ = up_to;
  forget_done();
  std::vector<std::byte> body;
  wire::Writer out(body);
  out(static_cast<uint64_t>(up_to));
  (void)put(kFlushed, body);  // the outbox has it too
  return result;
}

// To the file that is written now, or the other one.
Result<> StageLog::put(Type type, std::span<const std::byte> body) {
  if (!files_[active_].file.has_room(body.size())) FP_CHECK_OK(turn());
  FP_CHECK_OK(files_[active_].file.append(type, body));
  return {};
}

// Goes on in the other file, which from then on stands for itself: it gets what it takes to
// understand it without the one before.
Result<> StageLog::turn() {
  const uint8_t other = active_ == 0 ? 1 : 0;
  const bool in_use =
      std::ranges::any_of(entries_, [&](const Entry& e) { return e.file == other && e.open > 0; });
  if (in_use) return Error{Errc::Full, "stage 1 is full of readings that wait for the disk"};
  File& file = files_[other];
  FP_CHECK_OK(file.file.begin({.generation = generation_ + 1, .log = id_, .boot = boot_}));
  file.names.clear();
  file.numbers.clear();
  file.cursor = 0;
  active_ = other;
  ++generation_;
  std::vector<std::byte> body;
  wire::Writer out(body);
  out(static_cast<uint64_t>(flushed_));
  FP_CHECK_OK(file.file.append(kFlushed, body));
  for (const Epoch& epoch : epochs_) {
    body.clear();
    out(zigzag(epoch.since_ms));
    out(zigzag(epoch.offset_ms));
    out(false);
    FP_CHECK_OK(file.file.append(kEpoch, body));
  }
  return {};
}

void StageLog::acknowledge_one(int64_t number) {
  if (number <= flushed_ || number > newest_ || acknowledged_.contains(number)) return;
  acknowledged_.insert(number);
  const auto after = std::ranges::upper_bound(entries_, number, {}, &Entry::first);
  if (after == entries_.begin()) return;
  Entry& entry = *std::prev(after);
  if (--entry.open == 0) pending_readings_ -= entry.readings;
}

// Entries at the front that have nothing pending.
void StageLog::forget_done() {
  while (!entries_.empty() && (entries_.front().open == 0 || entries_.front().last() <= flushed_)) {
    if (entries_.front().open > 0) pending_readings_ -= entries_.front().readings;
    entries_.pop_front();
  }
  acknowledged_.erase_up_to(entries_.empty() ? newest_ : entries_.front().first - 1);
}

// ---- Reading.

Result<std::vector<Staged>> StageLog::read(int64_t after, size_t max_points) const {
  const std::scoped_lock lock(mutex_);
  return read_pending(after, max_points);
}

Result<std::optional<std::vector<Staged>>> StageLog::take(int64_t after, size_t max_points) {
  const std::scoped_lock lock(mutex_);
  if (after < flushed_) return std::optional<std::vector<Staged>>();
  std::vector<Staged> taken = FP_TRY(read_pending(after, max_points));
  // Where the uplink starts anew from `after`, it holds nothing beyond.
  held_ = taken.empty() ? after : taken.back().number;
  return std::optional(std::move(taken));
}

Result<std::vector<Staged>> StageLog::read_pending(int64_t after, size_t max_points) const {
  after = std::max(after, flushed_);
  std::vector<Staged> read;
  size_t points = 0;
  auto entry = std::ranges::lower_bound(entries_, after + 1, {}, &Entry::last);
  for (; entry != entries_.end() && (points < max_points || read.empty()); ++entry) {
    if (entry->open == 0) continue;
    const auto body = FP_TRY(files_[entry->file].file.read(entry->offset));
    auto samples = FP_TRY(decode(entry->file, body));
    for (Staged& s : samples) {
      if (s.number <= after || acknowledged_.contains(s.number)) continue;
      points += s.sample.points.size();
      read.push_back(std::move(s));
    }
  }
  return read;
}

Result<std::vector<Staged>> StageLog::decode(uint8_t file, std::span<const std::byte> body) const {
  const std::vector<Symbol>& names = files_[file].names;
  wire::Reader in(body);
  uint64_t first = 0;
  uint64_t count = 0;
  in(first);
  in(count);
  std::vector<Staged> samples;
  const auto name = [&](Symbol& ret) {
    uint32_t number = 0;
    in(number);
    ret = number < names.size() ? names[number] : nullptr;
    return ret != nullptr;
  };
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    Staged& staged = samples.emplace_back();
    staged.number = static_cast<int64_t>(first + i);
    bool utc = false;
    uint64_t ms = 0;
    uint64_t points = 0;
    if (!name(staged.sample.device)) return damaged("a sample without a device");
    in(utc);
    in(ms);
    in(points);
    staged.sample.time = {unzigzag(ms), utc ? CaptureTime::Base::Utc : CaptureTime::Base::ThisBoot};
    staged.sample.points.reserve(std::min<uint64_t>(points, body.size()));
    for (uint64_t k = 0; k < points && in.ok(); ++k) {
      Point& point = staged.sample.points.emplace_back();
      if (!name(point.attribute)) return damaged("a reading without a name");
      in(point.value);
    }
  }
  if (!in.done()) return damaged("a malformed record");
  return samples;
}

// ---- Looking.

int64_t StageLog::newest() const {
  const std::scoped_lock lock(mutex_);
  return newest_;
}

int64_t StageLog::flushed_up_to() const {
  const std::scoped_lock lock(mutex_);
  return flushed_;
}

std::optional<BootTime> StageLog::oldest() const {
  const std::scoped_lock lock(mutex_);
  if (entries_.empty()) return std::nullopt;
  return entries_.front().appended;
}

int64_t StageLog::pending_readings() const {
  const std::scoped_lock lock(mutex_);
  return pending_readings_;
}

std::vector<Epoch> StageLog::epochs() const {
  const std::scoped_lock lock(mutex_);
  return epochs_;
}

}  // namespace fieldpost
