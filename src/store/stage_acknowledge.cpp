// SPDX-License-Identifier: Apache-2.0
//
// What is acknowledged. That of samples that are on the disk, in rows of which others are not
// acknowledged yet, stays known until the row is: each file repeats it from the one before.
#include <algorithm>
#include <iterator>
#include <utility>

#include "model/wire.hpp"
#include "store/stage_log.hpp"

namespace fieldpost {
namespace {

constexpr size_t kPartsInRecord = 1000;

// Ascending numbers as runs: the first, and how many follow it.
void put_runs(wire::Writer& out, std::span<const int64_t> ascending, uint64_t (*code)(int64_t)) {
  std::vector<std::pair<int64_t, int64_t>> runs;
  for (const int64_t number : ascending) {
    if (!runs.empty() && runs.back().second == number - 1) {
      runs.back().second = number;
    } else {
      runs.emplace_back(number, number);
    }
  }
  out(uint64_t{runs.size()});
  for (const auto& [first, last] : runs) {
    out(code(first));
    out(static_cast<uint64_t>(last - first));
  }
}

// Those of [min, max], each once.
std::vector<int64_t> ascending(std::span<const int64_t> numbers, int64_t min, int64_t max) {
  std::vector<int64_t> sorted;
  std::ranges::copy_if(numbers, std::back_inserter(sorted),
                       [=](int64_t number) { return number >= min && number <= max; });
  std::ranges::sort(sorted);
  sorted.erase(std::ranges::unique(sorted).begin(), sorted.end());
  return sorted;
}

// body := read:varint samples rows parts; the first two as runs
std::vector<std::byte> body_of(int64_t read, std::span<const int64_t> samples,
                               std::span<const int64_t> rows,
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
  const std::vector<int64_t> known = ascending(samples, 1, newest_);
  if (known.empty() && rows.empty()) return {};
  for (const int64_t number : known) {
    if (number > flushed_ && number <= read_) late_.insert(number);
    for_each(number, number, [this](Entry& entry, int64_t n) { done(entry, n); });
  }
  forget_done();
  return put_acknowledged(known, rows);
}

// Samples in their order. The rows of which they are the last are done as well.
Result<> StageLog::put_acknowledged(std::span<const int64_t> samples,
                                    std::span<const int64_t> rows) {
  std::vector<Handover::Part> parts;
  std::vector<int64_t> ended(rows.begin(), rows.end());
  for (const int64_t number : samples) {
    std::ranges::copy(parts_.parts_of(number), std::back_inserter(parts));
    parts_.acknowledge_sample(number, ended);
  }
  for (const int64_t row : rows) parts_.forget(row);
  return put(kAcknowledged, body_of(read_, samples, ascending(ended, INT64_MIN, INT64_MAX), parts));
}

// Rows with samples that the uplink has on its way, or has had acknowledged meanwhile.
void StageLog::note_made(std::span<const MadeRow> made) {
  std::vector<int64_t> acknowledged;
  for (const MadeRow& row : made) {
    const auto late = [this](const auto& member) { return late_.contains(member.number); };
    const auto held = [this](const auto& member) { return member.number <= held_; };
    if (std::ranges::none_of(row.members, held) && std::ranges::none_of(row.members, late)) {
      continue;
    }
    parts_.add(row.row, {.members = row.members});
    for (const auto& member : row.members) {
      if (late(member)) acknowledged.push_back(member.number);
    }
  }
  // They are in this file as samples, if that fails.
  if (!acknowledged.empty()) (void)put_acknowledged(ascending(acknowledged, 1, newest_), {});
}

// What is repeated leaves half of the room for samples to what is new. What is too much for that is
// sent once more after a kill.
bool StageLog::has_room_to_repeat(const File& file, size_t body) {
  const auto size = static_cast<size_t>(file.file.size());
  return file.file.has_room(body + kReserve + (size - std::min(size, kReserve)) / 2);
}

Result<> StageLog::repeat_parts(File& file) {
  const std::vector<Handover::Part> parts = parts_.gone();
  for (size_t i = 0; i < parts.size(); i += kPartsInRecord) {
    const auto some = std::span(parts).subspan(i, std::min(kPartsInRecord, parts.size() - i));
    const auto body = body_of(0, {}, {}, some);
    if (!has_room_to_repeat(file, body.size())) break;
    FP_CHECK_OK(file.file.append(kAcknowledged, body));
  }
  return {};
}

// What nobody has found the rows of yet.
Result<> StageLog::repeat_late(File& file) {
  std::vector<std::byte> buffer;
  for (const Staged& late : recovered_.acknowledged) {
    const size_t known = file.names.size();
    const auto body = encode_samples({&late.sample, 1}, late.number, file.names, buffer);
    if (!has_room_to_repeat(file, body.size())) {
      file.names.shrink(known);
      break;
    }
    FP_CHECK_OK(file.file.append(kLate, body));
  }
  return {};
}

StageLog::Recovered StageLog::recovered() const {
  const std::scoped_lock lock(mutex_);
  return recovered_;
}

void StageLog::settle(std::span<const Handover::Part> found) {
  const std::scoped_lock lock(mutex_);
  recovered_ = {};
  for (const Handover::Part& part : found) parts_.leave_out(part.row, part.ms);
}

void StageLog::keep_parts_of(const Handover& rows) {
  const std::scoped_lock lock(mutex_);
  if (parts_.rows() > rows.rows()) parts_.keep_only(rows);
}

}  // namespace fieldpost
