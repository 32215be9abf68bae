// SPDX-License-Identifier: Apache-2.0
#include "store/stage_log.hpp"

#include <sys/random.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "model/symbol.hpp"
#include "model/wire.hpp"

namespace fieldpost {
namespace {

std::vector<std::byte> epoch_body(Epoch epoch) {
  return written_body([&](wire::Writer& out) {
    out(zigzag(epoch.since_ms));
    out(zigzag(epoch.offset_ms));
    if (epoch.estimated) out(uint64_t{1});
  });
}

}  // namespace

// ---- Opening: also stage_recover.cpp.

StageLog::StageLog(File first, File second, SymbolTable& symbols) : symbols_(&symbols) {
  files_.push_back(std::move(first));
  files_.push_back(std::move(second));
}

Result<> StageLog::begin_anew(const std::string& boot) {
  boot_ = boot;
  if (::getrandom(&id_, sizeof id_, 0) != sizeof id_) return Error::from_errno(errno, "getrandom");
  id_ >>= 1;  // it fits into an SQLite integer
  active_ = 1;
  return turn();
}

// ---- Writing.

Result<> StageLog::append(std::span<const DeviceSample> samples) {
  if (samples.empty()) return {};
  const std::scoped_lock lock(mutex_);
  const int64_t offset = FP_TRY(put_samples(samples));
  add_entry({.first = newest_ + 1,
             .count = static_cast<uint32_t>(samples.size()),
             .file = active_,
             .offset = offset,
             .appended = BootClock::now()});
  for (const DeviceSample& sample : samples) add_waiting(sample.points.size());
  return {};
}

// To the file that is written now, or else, if there is no room in it, the other one.
Result<int64_t> StageLog::put_samples(std::span<const DeviceSample> samples) {
  for (bool turned = false;; turned = true) {
    File& file = files_[active_];
    const size_t known = file.names.size();
    const auto body = encode_samples(samples, newest_ + 1, file.names, buffer_);
    const bool has_room = file.file.has_room(body.size() + kReserve);
    auto offset = has_room ? file.file.append(kSamples, body) : Result<int64_t>(0);
    if (has_room && offset) return offset;
    file.names.shrink(known);  // the record that would have told them is not there
    if (!offset) return offset;
    if (turned || !file.file.could_hold(body.size() + kReserve)) {
      return Error{Errc::Invalid, "samples of " + std::to_string(body.size()) +
                                      " bytes are more than stage 1 takes at once"};
    }
    FP_CHECK_OK(turn());
  }
}

void StageLog::add_entry(Entry entry) {
  if (!entries_.empty()) entry.place = entries_.back().place + entries_.back().count;
  entry.open = entry.count;
  newest_ = entry.last();
  entries_.push_back(entry);
}

void StageLog::add_waiting(size_t readings) {
  waiting_.push_back(static_cast<uint32_t>(readings) + 1);
  pending_readings_ += static_cast<int64_t>(readings);
}

Result<> StageLog::append_epoch(Epoch epoch) {
  const std::scoped_lock lock(mutex_);
  if (!epochs_.empty()) epoch.since_ms = std::max(epoch.since_ms, epochs_.back().since_ms + 1);
  FP_CHECK_OK(put(kEpoch, epoch_body(epoch)));
  epochs_.push_back(epoch);
  return {};
}

StageLog::Flushed StageLog::flushed(int64_t up_to, std::span<const MadeRow> made) {
  const std::scoped_lock lock(mutex_);
  Flushed result{.held = held_, .held_custom = held_custom_, .acknowledged = late_};
  in_flight_ = 0;
  flying_.clear();
  if (up_to <= flushed_) return result;
  // The outbox knows more where the end of the log was lost. Those numbers are taken.
  newest_ = std::max(newest_, up_to);
  done_up_to(up_to);
  forget_done();
  note_made(made);
  late_.erase_up_to(up_to);
  std::erase_if(notes_.samples, [=](const Staged& s) { return s.number <= up_to; });
  (void)put(kFlushed, flushed_body());  // the outbox has it too
  return result;
}

std::vector<std::byte> StageLog::flushed_body() const {
  return written_body([this](wire::Writer& out) {
    out(static_cast<uint64_t>(flushed_));
    out(static_cast<uint64_t>(newest_));
  });
}

// To the file that is written now, or the other one.
Result<> StageLog::put(Type type, std::span<const std::byte> body) {
  if (!files_[active_].file.has_room(body.size())) FP_CHECK_OK(turn());
  FP_CHECK_OK(files_[active_].file.append(type, body));
  return {};
}

// Goes on in the other file, which from then on stands for itself: it gets what it takes to
// understand it without the one before. The last of that says that it is complete; until then the
// file before is the one that is written, here and by whoever recovers the log.
Result<> StageLog::turn() {
  const uint8_t other = active_ == 0 ? 1 : 0;
  // What is in the other one is older, and the first entry has something pending.
  if (!entries_.empty() && entries_.front().file == other) {
    return Error{Errc::Full, "stage 1 is full of readings that wait for the disk"};
  }
  File& file = files_[other];
  FP_CHECK_OK(file.file.begin({.generation = generation_ + 1, .log = id_, .boot = boot_}));
  file.names.shrink(0);
  for (const Epoch& epoch : epochs_) FP_CHECK_OK(file.file.append(kEpoch, epoch_body(epoch)));
  FP_CHECK_OK(repeat_notes(file));
  FP_CHECK_OK(file.file.append(kFlushed, flushed_body()));
  active_ = other;
  ++generation_;
  return {};
}

uint32_t& StageLog::waiting(const Entry& entry, int64_t number) {
  return waiting_[entry.place - entries_.front().place +
                  static_cast<uint64_t>(number - entry.first)];
}

uint32_t StageLog::waiting(const Entry& entry, int64_t number) const {
  return const_cast<StageLog*>(this)->waiting(entry, number);
}

void StageLog::done(Entry& entry, int64_t number) {
  uint32_t& state = waiting(entry, number);
  if (state == kDone || state == kDoneLate) return;
  pending_readings_ -= state - 1;
  --entry.open;
  state = kDone;
}

void StageLog::done_up_to(int64_t number) {
  if (number <= flushed_) return;
  for_each(flushed_ + 1, number, [this](Entry& entry, int64_t n) { done(entry, n); });
  flushed_ = number;
}

// Entries at the front that have nothing pending.
void StageLog::forget_done() {
  for (; !entries_.empty() && entries_.front().open == 0; entries_.pop_front()) {
    for (uint32_t i = 0; i < entries_.front().count; ++i) waiting_.pop_front();
  }
}

// ---- Reading.

Result<std::vector<Staged>> StageLog::read(int64_t after, size_t max_points, int64_t max_bytes,
                                           int64_t last) {
  const std::scoped_lock lock(mutex_);
  std::vector<Staged> read = FP_TRY(read_pending(after, max_points, last, std::move(spare_)));
  std::erase_if(read, [&](const Staged& s) { return s.number > last; });
  int64_t bytes = 0;
  const auto too_much = std::ranges::find_if(read, [&](const Staged& s) {
    bytes += sample_bytes(s.sample.points);
    return bytes > max_bytes && &s != &read.front();
  });
  read.erase(too_much, read.end());
  in_flight_ = read.empty() ? 0 : read.back().number;
  read_ = std::max(read_, in_flight_);
  return read;
}

void StageLog::recycle(std::vector<Staged> read) {
  constexpr size_t kMostKept = 10'000;  // points, of some 50 bytes
  size_t points = 0;
  for (const Staged& staged : read) points += staged.sample.points.capacity();
  if (points > kMostKept) return;
  const std::scoped_lock lock(mutex_);
  spare_ = std::move(read);
}

Result<std::vector<Staged>> StageLog::look(int64_t after, size_t max_points) const {
  const std::scoped_lock lock(mutex_);
  Reading reading{.after = after, .max_points = max_points, .read = {}};
  std::vector<std::byte> buffer;
  auto entry = std::ranges::upper_bound(entries_, after, {}, &Entry::last);
  for (; entry != entries_.end() && !reading.enough(); ++entry) {
    if (entry->open == 0) continue;
    const auto whole = read_entry(*entry, buffer, reading);
    if (!whole && whole.error().code != Errc::Corrupt) return whole.error();
  }
  return std::move(reading).result();
}

Result<std::optional<std::vector<Staged>>> StageLog::take(int64_t after, size_t max_points,
                                                          bool custom) {
  const std::scoped_lock lock(mutex_);
  if (after < flushed_) return std::optional<std::vector<Staged>>();
  std::vector<Staged> taken = FP_TRY(read_pending(after, max_points, INT64_MAX));
  // Where the uplink starts anew from `after`, it holds nothing beyond.
  (custom ? held_custom_ : held_) = taken.empty() ? after : taken.back().number;
  return std::optional(std::move(taken));
}

int64_t StageLog::held() const {
  const std::scoped_lock lock(mutex_);
  return held_;
}

// In the memory of `read`, as far as that goes.
Result<std::vector<Staged>> StageLog::read_pending(int64_t after, size_t max_points, int64_t last,
                                                   std::vector<Staged> read) {
  Reading reading{.after = after, .max_points = max_points, .read = std::move(read)};
  auto entry = std::ranges::upper_bound(entries_, after, {}, &Entry::last);
  for (; entry != entries_.end() && entry->first <= last && !reading.enough(); ++entry) {
    if (entry->open == 0) continue;
    const auto whole = read_entry(*entry, read_buffer_, reading);
    if (whole) continue;
    if (whole.error().code != Errc::Corrupt) return whole.error();
    give_up(*entry, std::max(after, reading.newest()));
  }
  forget_done();
  return std::move(reading).result();
}

// Those of its samples that are asked for and pending, until there are enough.
Result<> StageLog::read_entry(const Entry& entry, std::vector<std::byte>& buffer,
                              Reading& reading) const {
  const File& file = files_[entry.file];
  StagedReader reader(FP_TRY(file.file.read(entry.offset, buffer)));
  while (reader.next(file.names, &reading.next())) {
    const Staged& staged = reading.next();
    if (staged.number <= reading.after || waiting(entry, staged.number) == kDone) continue;
    reading.take_next();
    if (reading.enough()) return {};
  }
  if (!reader.done()) return Error{Errc::Corrupt, "stage 1: a malformed record"};
  return {};
}

// Its samples after `after`, for nothing of them can be read: or nobody would get past them.
void StageLog::give_up(Entry& entry, int64_t after) {
  const int64_t before = pending_readings_;
  for (int64_t n = std::max(after + 1, entry.first); n <= entry.last(); ++n) done(entry, n);
  damaged_ += before - pending_readings_;
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

int64_t StageLog::percent_used() const {
  const std::scoped_lock lock(mutex_);
  if (entries_.empty()) return 0;
  const Entry& oldest = entries_.front();
  int64_t used = files_[oldest.file].file.used() - oldest.offset;
  if (oldest.file != active_) used += files_[active_].file.used();
  return used * 100 / (files_[0].file.bytes() + files_[1].file.bytes());
}

int64_t StageLog::pending_readings() const {
  const std::scoped_lock lock(mutex_);
  return pending_readings_;
}

int64_t StageLog::damaged() const {
  const std::scoped_lock lock(mutex_);
  return damaged_;
}

std::vector<Epoch> StageLog::epochs() const {
  const std::scoped_lock lock(mutex_);
  return epochs_;
}

}  // namespace fieldpost
