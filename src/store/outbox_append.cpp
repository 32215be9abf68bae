// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "store/outbox_impl.hpp"

namespace fieldpost {

namespace {
constexpr int kDamagedRowsKept = 100;
// Rows that one transaction deletes at most: each page that becomes free leaves some bytes in the
// WAL.
constexpr int64_t kDeletesAtOnce = 1000;
// A sample that is later than its neighbours by more than that was not just late: stage 1 was
// thinned, and old ones have new numbers. Rows of them come in the order of numbers, as all rows
// do. Not so many, though, that each sample is a row.
constexpr int64_t kLateMs = kThinHourMs;
constexpr int kMostPieces = 64;

using Samples = std::vector<const Staged*>;

int64_t ms_of(const Staged* staged) { return staged->sample.time.ms; }

// Sorts pieces by time: stable, so of two in the same millisecond the first one stays first.
void sort_by_time(Samples& list) {
  if (std::ranges::is_sorted(list, {}, ms_of)) return;
  const auto goes_back = [](const Staged* a, const Staged* b) {
    return ms_of(b) + kLateMs < ms_of(a);
  };
  std::vector<Samples::iterator> ends;
  for (auto it = list.begin(); it != list.end();) {
    it = std::ranges::adjacent_find(it, list.end(), goes_back);
    if (it != list.end()) ++it;
    ends.push_back(it);
  }
  if (ends.size() > kMostPieces) ends = {list.end()};
  auto begin = list.begin();
  for (const auto end : ends) {
    std::ranges::stable_sort(begin, end, {}, ms_of);
    begin = end;
  }
}
}  // namespace

Result<> Outbox::append(std::span<const Staged> samples, int64_t up_to) {
  Impl& o = *impl_;
  o.sort_out(samples);
  o.change = {};
  o.made.clear();
  const int64_t boot = o.boot;
  const int64_t next_row = o.next_row;
  auto written = o.append_in_transaction(up_to);
  for (const auto& [id, device] : o.touched) {
    device->writer.clear();
    device->members.clear();
    for (auto& list : device->samples) list.clear();
    device->touched = false;
  }
  o.touched.clear();
  if (!written) {
    // Numbers that the dictionaries gave in it are void, and the writers have learnt them.
    o.attributes->forget();
    o.devices->forget();
    o.writers.clear();
    o.made.clear();
    o.boot = boot;
    o.next_row = next_row;
    return written;
  }
  o.clock_stored();
  o.committed_deletes();
  o.flushed = o.change.flushed;
  o.totals.refused += o.change.refused;
  if (o.change.rows > 0) {
    if (o.totals.rows == 0) {
      o.oldest_row = o.row_of(o.made.front().row);
      o.totals.oldest_utc_ms = o.change.first_utc_ms;
    }
    o.totals.rows += o.change.rows;
    o.totals.unstamped += o.change.unstamped;
    o.newest = o.row_of(o.made.back().row);
  }
  return {};
}

const std::vector<Outbox::Made>& Outbox::made() const { return impl_->made; }

// By device and clock, in the order of time; devices in the order of their last sample, which names
// their row.
void Outbox::Impl::sort_out(std::span<const Staged> samples) {
  for (const Staged& staged : samples) {
    Device& device = writers[staged.sample.device];
    if (!device.touched) {
      device.touched = true;
      device.name = staged.sample.device;
      touched.emplace_back(staged.sample.device, &device);
    }
    device.samples[static_cast<size_t>(staged.sample.time.base)].push_back(&staged);
    device.last_number = staged.number;
  }
  for (const auto& [id, device] : touched) {
    for (auto& list : device->samples) sort_by_time(list);
  }
  std::ranges::stable_sort(touched, {}, [](const auto& t) { return t.second->last_number; });
}

Result<> Outbox::Impl::append_in_transaction(int64_t up_to) {
  auto transaction = FP_TRY(Transaction::begin(database));
  FP_CHECK_OK(ensure_boot());
  FP_CHECK_OK(write_epochs());
  for (const auto& [id, device] : touched) {
    FP_CHECK_OK(write(*device, id, CaptureTime::Base::ThisBoot));
    FP_CHECK_OK(write(*device, id, CaptureTime::Base::Utc));
  }
  FP_CHECK_OK(write_unstamped());
  FP_CHECK_OK(delete_waiting());
  change.flushed = std::max(flushed, up_to);
  FP_CHECK_OK(write_state());
  return std::move(transaction).commit();
}

Result<> Outbox::Impl::write(Device& device, Symbol id, CaptureTime::Base base) {
  const auto& samples = device.samples[static_cast<size_t>(base)];
  if (samples.empty()) return {};
  const int64_t device_id = FP_TRY(devices->id_of(id));
  const int64_t row_boot = base == CaptureTime::Base::Utc ? kUtc : boot;
  if (row_boot != kUtc) change.last_ms = std::max(change.last_ms, {samples.back()->sample.time.ms});
  device.members.reserve(samples.size());
  for (const Staged* staged : samples) {
    const int64_t ms = staged->sample.time.ms;
    // A time in a row is one sample's: the uplink may have that one already. And times ascend. A
    // sample stands in one row, if it fits any: in several it would be sent once more.
    const bool full = !device.writer.fits(staged->sample.points);
    if (!device.members.empty() && (full || device.members.back().ms >= ms)) {
      FP_CHECK_OK(insert_row(device, device_id, row_boot));
    }
    FP_CHECK_OK(write_points(device, *staged, device_id, row_boot));
    device.members.push_back({.number = staged->number, .ms = ms});
  }
  return insert_row(device, device_id, row_boot);
}

Result<> Outbox::Impl::write_points(Device& device, const Staged& staged, int64_t device_id,
                                    int64_t row_boot) {
  std::span<const Point> left = staged.sample.points;
  for (;;) {
    switch (device.writer.add(staged.sample.time.ms, left)) {
      case ChunkWriter::Added::Yes:
        return {};
      case ChunkWriter::Added::Unknown: {
        const Symbol attribute = left.front().attribute;
        device.writer.learn(attribute, static_cast<uint32_t>(FP_TRY(attributes->id_of(attribute))));
        break;
      }
      case ChunkWriter::Added::Full:
        device.members.push_back({.number = staged.number, .ms = staged.sample.time.ms});
        FP_CHECK_OK(insert_row(device, device_id, row_boot));
        break;
      case ChunkWriter::Added::Refused:
        ++change.refused;
        left = left.subspan(1);
    }
  }
}

Result<> Outbox::Impl::insert_row(Device& device, int64_t device_id, int64_t row_boot) {
  std::vector<Handover::Member> members = std::exchange(device.members, {});
  if (device.writer.empty()) return {};
  const int64_t t0 = device.writer.t0();
  const int64_t points = device.writer.points();
  const int64_t named = item_id::of_sample(members.back().number) + 1;
  const int64_t row = std::max(next_row, members.back().number > 0 ? row_of(named) : 0);
  next_row = row + 1;
  insert.bind(1, row);
  insert.bind(2, device_id);
  insert.bind(3, row_boot);
  insert.bind(4, t0);
  insert.bind(5, points);
  const std::string_view body = device.writer.encode(device_id, row_boot);
  insert.bind_blob(6, body);
  FP_CHECK_OK(insert.run());
  if (change.rows == 0) change.first_utc_ms = utc_of(row_boot, t0).value_or(0);
  made.push_back({.row = id_of(row), .device = device.name, .members = std::move(members)});
  ++change.rows;
  change.readings += points;
  change.bytes += static_cast<int64_t>(body.size()) + kRowBytes;
  if (is_unstamped(row_boot)) change.unstamped += points;
  return {};
}

// ---- Deleting.

Result<> Outbox::acknowledge(std::span<const int64_t> rows) {
  Impl& o = *impl_;
  for (const int64_t id : rows) {
    const int64_t row = o.row_of(id);
    if (o.acknowledged.contains(row)) continue;
    if (o.damaged.contains(row)) {
      o.settled.rows.insert(id);
      continue;
    }
    Impl::Size size;
    if (const auto it = o.handed_out.find(row); it != o.handed_out.end()) {
      size = it->second.size;
      o.handed_out.erase(it);
    } else {  // by an earlier process, or as samples
      const ResetGuard guard(o.count_row);
      o.count_row.bind(1, row);
      if (!FP_TRY(o.count_row.step())) {
        o.settled.rows.insert(id);
        continue;
      }
      size = {o.count_row.integer(0), o.count_row.integer(1) + Impl::kRowBytes};
    }
    o.leave(size);
    o.totals.acknowledged += size.readings;
    o.acknowledged.insert(row);
  }
  if (o.acknowledged.contains(o.oldest_row)) o.find_oldest();
  return {};
}

Settled Outbox::take_settled() { return std::exchange(impl_->settled, {}); }

bool Outbox::has_waiting_deletes() const { return waiting_deletes() > 0; }

size_t Outbox::waiting_deletes() const {
  return impl_->acknowledged.size() + impl_->damaged.size();
}

Result<> Outbox::flush_deletes() {
  if (!has_waiting_deletes() && !has_waiting_parts()) return {};
  auto transaction = FP_TRY(Transaction::begin(impl_->database));
  impl_->change = {.flushed = impl_->flushed};
  FP_CHECK_OK(impl_->delete_waiting());
  FP_CHECK_OK(impl_->write_state());
  FP_CHECK_OK(std::move(transaction).commit());
  impl_->committed_deletes();
  return {};
}

Result<> Outbox::Impl::delete_waiting() {
  for (const auto& [first, last] : damaged) {
    keep_damaged.bind(1, first);
    keep_damaged.bind(2, last);
    FP_CHECK_OK(keep_damaged.run());
  }
  if (!damaged.empty()) {
    trim_damaged.bind(1, kDamagedRowsKept);
    FP_CHECK_OK(trim_damaged.run());
  }
  int64_t left = kDeletesAtOnce;
  for (auto [rows, up_to] :
       {std::pair(&damaged, &damaged_up_to), std::pair(&acknowledged, &acknowledged_up_to)}) {
    *up_to = 0;
    for (auto [first, last] : *rows) {
      if (left <= 0) break;
      last = std::min(last, first + left - 1);
      left -= last - first + 1;
      for (Statement* statement : {&erase, &erase_thinned}) {
        statement->bind(1, first);
        statement->bind(2, last);
        FP_CHECK_OK(statement->run());
      }
      *up_to = last;
    }
  }
  return take_parts_out();
}

// A row that is gone from what waits.
void Outbox::Impl::leave(Size row) {
  --totals.rows;
  totals.readings -= row.readings;
  totals.bytes -= row.bytes;
}

void Outbox::Impl::committed_deletes() {
  damaged.erase_up_to(damaged_up_to);
  for (const auto& [first, last] : acknowledged) {
    for (int64_t row = first; row <= std::min(last, acknowledged_up_to); ++row) {
      settled.rows.insert(id_of(row));
    }
  }
  acknowledged.erase_up_to(acknowledged_up_to);
  failed = false;
  for (const auto& [row, size] : rewritten) {
    const std::set<int64_t> times = std::move(acknowledged_parts.extract(row).mapped());
    if (!size) continue;
    for (const int64_t ms : times) settled.parts.push_back({.row = id_of(row), .ms = ms});
    const auto held = handed_out.find(row);
    if (held != handed_out.end()) held->second.size = *size;
  }
  totals.readings += change.readings;
  totals.acknowledged += change.acknowledged;
  totals.bytes += change.bytes;
  if (rewritten.contains(oldest_row)) find_oldest();
  totals.file_bytes = database.file_bytes();
}

}  // namespace fieldpost
