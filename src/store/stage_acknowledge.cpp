// SPDX-License-Identifier: Apache-2.0
//
// What is acknowledged, and stays known until the disk knows it: each file repeats that from the
// one before, for a file is used again whatever the disk does meanwhile.
#include <algorithm>
#include <utility>

#include "model/wire.hpp"
#include "store/stage_log.hpp"

namespace fieldpost {
namespace {

constexpr size_t kInRecord = 1000;  // runs, or parts
// Of no known row: as many as a flush takes. Beyond that they are sent once more after a kill.
constexpr size_t kMostLate = 100'000;

// The first of each run, and how many follow it.
void put_runs(wire::Writer& out, std::span<const std::pair<int64_t, int64_t>> runs,
              uint64_t (*code)(int64_t)) {
  out(uint64_t{runs.size()});
  for (const auto& [first, last] : runs) {
    out(code(first));
    out(static_cast<uint64_t>(last - first));
  }
}

using Runs = std::vector<std::pair<int64_t, int64_t>>;

Runs runs_of(const RowSet& numbers) { return {numbers.begin(), numbers.end()}; }

// body := read:varint samples rows parts; the first two as runs
std::vector<std::byte> body_of(int64_t read, const Runs& samples,
                               std::span<const Runs::value_type> rows,
                               std::span<const Handover::Part> parts) {
  return written_body([&](wire::Writer& out) {
    out(static_cast<uint64_t>(read));
    put_runs(out, samples, [](int64_t number) { return static_cast<uint64_t>(number); });
    put_runs(out, rows, zigzag);  // from before this log: numbers below 0
    out(uint64_t{parts.size()});
    for (const Handover::Part& part : parts) {
      out(zigzag(part.row));
      out(zigzag(part.ms));
    }
  });
}

}  // namespace

Result<> StageLog::acknowledge(std::span<const int64_t> samples, std::span<const int64_t> rows) {
  const std::scoped_lock lock(mutex_);
  RowSet known;
  for (const int64_t number : samples) {
    if (number >= 1 && number <= newest_) known.insert(number);
  }
  if (known.empty() && rows.empty()) return {};
  std::vector<int64_t> ended(rows.begin(), rows.end());
  std::vector<Handover::Part> parts;
  for (const auto& [first, last] : known) {
    for (int64_t number = first; number <= last; ++number) {
      if (number > flushed_ && number <= read_) note_late(number);
      if (number <= flushed_) handed_.acknowledge_sample(number, ended, parts);
    }
    for_each(first, last, [this](Entry& entry, int64_t number) { done(entry, number); });
  }
  forget_done();
  return put_acknowledged(known, ended, parts);
}

Result<> StageLog::put_acknowledged(const RowSet& samples, std::span<const int64_t> rows,
                                    std::span<const Handover::Part> parts) {
  RowSet ended;
  for (const Handover::Part& part : parts) notes_.parts[part.row].insert(part.ms);
  for (const int64_t row : rows) {
    ended.insert(row);
    note_row(row);
    handed_.forget(row);
  }
  return put(kAcknowledged, body_of(read_, runs_of(samples), runs_of(ended), parts));
}

void StageLog::note_row(int64_t row) {
  notes_.rows.insert(row);
  notes_.parts.erase(row);
}

// A sample that a flush is taking. It is pending until now, so it can be read.
void StageLog::note_late(int64_t number) {
  if (late_.contains(number)) return;
  late_.insert(number);
  if (notes_.samples.size() >= kMostLate) return;
  const auto entry = std::ranges::lower_bound(entries_, number, {}, &Entry::last);
  if (entry == entries_.end() || entry->first > number) return;
  Reading reading{.after = number - 1, .read = {}};
  if (!read_entry(*entry, read_buffer_, reading) || reading.newest() != number) return;
  Staged& staged = reading.read.front();
  staged.sample.points = {};
  notes_.samples.push_back(std::move(staged));
}

// Rows with samples that the uplink has on its way, or has had acknowledged meanwhile.
void StageLog::note_made(std::span<const MadeRow> made) {
  std::vector<int64_t> ended;
  std::vector<Handover::Part> parts;
  for (const MadeRow& row : made) {
    const bool custom = row.device != nullptr && is_custom(*row.device);
    const int64_t held = custom ? held_custom_ : held_;
    const auto taken = [&](const auto& m) { return m.number <= held || late_.contains(m.number); };
    if (std::ranges::any_of(row.members, taken)) handed_.add(row.row, {.members = row.members});
  }
  for (const auto& [first, last] : late_) {
    for (int64_t number = first; number <= std::min(last, flushed_); ++number) {
      handed_.acknowledge_sample(number, ended, parts);
    }
  }
  // If that fails, the next file has it.
  if (!ended.empty() || !parts.empty()) (void)put_acknowledged({}, ended, parts);
}

// What is repeated leaves half of the room for samples to what is new. What is too much for that is
// sent once more after a kill.
bool StageLog::has_room_to_repeat(const File& file, size_t body) {
  const auto bytes = static_cast<size_t>(file.file.bytes());
  return file.file.has_room(body + kReserve + (bytes - std::min(bytes, kReserve)) / 2);
}

Result<> StageLog::repeat_notes(File& file) {
  const Runs rows = runs_of(notes_.rows);
  for (size_t i = 0; i < rows.size(); i += kInRecord) {
    const auto some = std::span(rows).subspan(i, std::min(kInRecord, rows.size() - i));
    FP_CHECK_OK(repeat(file, kAcknowledged, body_of(0, {}, some, {})));
  }
  std::vector<Handover::Part> parts;
  for (const auto& [row, times] : notes_.parts) {
    for (const int64_t ms : times) parts.push_back({.row = row, .ms = ms});
  }
  for (size_t i = 0; i < parts.size(); i += kInRecord) {
    const auto some = std::span(parts).subspan(i, std::min(kInRecord, parts.size() - i));
    FP_CHECK_OK(repeat(file, kAcknowledged, body_of(0, {}, {}, some)));
  }
  std::vector<std::byte> buffer;
  for (const Staged& late : notes_.samples) {
    const size_t known = file.names.size();
    const auto body = encode_samples({&late.sample, 1}, late.number, file.names, buffer);
    const bool put = FP_TRY(repeat(file, kLate, body));
    if (!put) file.names.shrink(known);
  }
  return {};
}

Result<bool> StageLog::repeat(File& file, Type type, std::span<const std::byte> body) {
  if (!has_room_to_repeat(file, body.size())) return false;
  FP_CHECK_OK(file.file.append(type, body));
  return true;
}

StageLog::Notes StageLog::notes() const {
  const std::scoped_lock lock(mutex_);
  return notes_;
}

void StageLog::found(std::span<const Handover::Part> parts) {
  const std::scoped_lock lock(mutex_);
  for (const Handover::Part& part : parts) notes_.parts[part.row].insert(part.ms);
  std::erase_if(notes_.samples, [this](const Staged& s) { return s.number <= flushed_; });
}

void StageLog::not_held(std::span<const int64_t> rows) {
  const std::scoped_lock lock(mutex_);
  for (const int64_t row : rows) handed_.forget(row);
}

void StageLog::settle(const Settled& settled) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [row, ms] : settled.parts) {
    const auto noted = notes_.parts.find(row);
    if (noted == notes_.parts.end()) continue;
    noted->second.erase(ms);
    if (noted->second.empty()) notes_.parts.erase(noted);
  }
  for (const auto& [first, last] : settled.rows) {
    notes_.rows.erase(first, last);
    notes_.parts.erase(notes_.parts.lower_bound(first), notes_.parts.upper_bound(last));
    for (int64_t row = first; row <= last; ++row) handed_.forget(row);
  }
}

}  // namespace fieldpost
