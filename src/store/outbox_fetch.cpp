// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "store/outbox_impl.hpp"
#include "store/wall.hpp"

namespace fieldpost {

Result<std::vector<Chunk>> Outbox::fetch(int64_t after, size_t max_points, const Handover& handover,
                                         Lane lane, const DeviceIds& aside) {
  Impl& o = *impl_;
  std::vector<Chunk> chunks;
  size_t points = 0;
  int64_t in_one_piece = item_id::kBeforeAll;  // up to this id
  o.last_fetch = {.up_to = after};
  o.release(lane, o.row_of(after));
  if (lane == Lane::Custom && !FP_TRY(o.has_custom_devices())) {
    o.last_fetch.up_to = std::max(after, o.id_of(o.newest));
    return chunks;
  }
  const ResetGuard guard(o.select);
  o.select.bind(1, o.row_of(after));
  for (;;) {
    auto step = o.select.step();
    if (!step && !chunks.empty()) break;  // what is there first; the next fetch meets the error
    if (!FP_TRY(std::move(step))) break;
    const int64_t row = o.select.integer(0);
    const bool enough = points >= max_points && (!chunks.empty() || o.last_fetch.has_gaps);
    if (enough && o.id_of(row) > in_one_piece && !o.is_torn(row, chunks, handover)) break;
    if (o.acknowledged.contains(row) || o.damaged.contains(row)) continue;
    if (FP_TRY(o.is_passed_over(o.select.integer(1), lane, aside))) {
      o.last_fetch.has_gaps = true;
      o.last_fetch.up_to = o.id_of(row);
      points += static_cast<size_t>(std::clamp<int64_t>(o.select.integer(4), 1, kMaxChunkPoints));
      continue;
    }
    o.last_fetch.ended_unstamped = o.is_unstamped(o.select.integer(2));
    if (o.last_fetch.ended_unstamped) break;
    points += FP_TRY(o.take(row, after, handover, lane, chunks));
    if (const Handover::Row* parts = handover.find(o.id_of(row))) {
      in_one_piece = item_id::of_sample(parts->last_of_flush + 1) - 1;
    }
  }
  if (in_one_piece != item_id::kBeforeAll) std::ranges::stable_sort(chunks, {}, &Chunk::row);
  if (!chunks.empty()) o.last_fetch.up_to = std::max(o.last_fetch.up_to, chunks.back().row);
  return chunks;
}

// Without [[publish]] there are none, and a backlog of months need not be gone through for them.
Result<bool> Outbox::Impl::has_custom_devices() {
  const ResetGuard guard(find_custom);
  return find_custom.step();
}

const Outbox::LastFetch& Outbox::last_fetch() const { return impl_->last_fetch; }

// Whether the row has samples from before what the fetch would end with.
bool Outbox::Impl::is_torn(int64_t row, const std::vector<Chunk>& chunks,
                           const Handover& handover) const {
  const Handover::Row* parts = handover.find(id_of(row));
  if (parts == nullptr || parts->members.empty()) return false;
  const int64_t first = std::ranges::min(parts->members, {}, &Handover::Member::number).number;
  const int64_t last =
      chunks.empty() ? last_fetch.up_to : std::max(last_fetch.up_to, chunks.back().row);
  return item_id::of_sample(first) <= last;
}

Result<bool> Outbox::Impl::is_passed_over(int64_t device, Lane lane, const DeviceIds& aside) {
  const Symbol name = FP_TRY(devices->symbol_of(device));
  if (name == nullptr) return false;
  return !belongs_to(*name, lane) || aside.contains(*name);
}

// What was handed out beyond `after` is held no more, or it would not be asked for again; but the
// other cursor may hold it.
void Outbox::Impl::release(Lane lane, int64_t after) {
  for (auto it = handed_out.upper_bound(after); it != handed_out.end();) {
    HandedOut& held = it->second;
    if (lane == Lane::All) held.live = false;
    held.in(lane) = false;
    it = held.any() ? std::next(it) : handed_out.erase(it);
  }
}

// The row that `select` is at, or, if it cannot be decoded, nothing of it. Returns its readings.
Result<size_t> Outbox::Impl::take(int64_t row, int64_t after, const Handover& handover, Lane lane,
                                  std::vector<Chunk>& ret_chunks) {
  const int64_t points = std::clamp<int64_t>(select.integer(4), 0, kMaxChunkPoints);
  const Size size{points, static_cast<int64_t>(select.blob(5).size()) + kRowBytes};
  auto decoded = decode(row, after, handover, ret_chunks);
  if (decoded) {
    HandedOut& held = handed_out[row];
    held.size = size;
    held.in(lane) = true;
    return static_cast<size_t>(points);
  }
  if (decoded.error().code == Errc::Corrupt) {
    set_aside(row, size);
  } else if (decoded.error().code != Errc::Invalid) {
    return std::move(decoded).error();
  }
  return 0;
}

Result<Outbox::Impl::Decoded> Outbox::Impl::decode_row() {
  const ChunkKey key{.device = select.integer(1),
                     .boot = select.integer(2),
                     .t0 = select.integer(3),
                     .points = select.integer(4)};
  Result<> dictionary;  // an error of the disk, which must not pass for a damaged row
  auto states = decode_chunk(select.blob(5), key, [&](uint32_t id) -> Symbol {
    auto symbol = attributes->symbol_of(id);
    if (symbol) return *symbol;
    dictionary = std::move(symbol).error();
    return nullptr;
  });
  FP_CHECK_OK(std::move(dictionary));
  if (!states) return std::move(states).error();
  const Symbol device = FP_TRY(devices->symbol_of(key.device));
  if (device == nullptr) return Error{Errc::Corrupt, "chunk: a device that has no name"};
  return Decoded{.key = key, .device = device, .states = *std::move(states)};
}

Result<> Outbox::Impl::decode(int64_t row, int64_t after, const Handover& handover,
                              std::vector<Chunk>& ret_chunks) {
  auto [key, device, states] = FP_TRY(decode_row());
  const int64_t id = id_of(row);
  if (const Handover::Row* parts = handover.find(id)) {
    for (const Handover::Member& m : parts->members) {
      const int64_t sample = item_id::of_sample(m.number);
      const auto state = std::ranges::lower_bound(states, m.ms, {}, &State::time_ms);
      if (m.acknowledged || sample <= after || state == states.end()) continue;
      if (state->time_ms != m.ms) continue;  // taken out, in an earlier life of the outbox
      std::vector<State> one(1, *state);
      FP_CHECK_OK(stamp(one, key.boot));
      ret_chunks.push_back({.row = sample, .device = device, .states = std::move(one)});
    }
    return {};
  }
  if (const std::set<int64_t>* gone = handover.left_out(id)) {
    std::erase_if(states, [&](const State& s) { return gone->contains(s.time_ms); });
  }
  FP_CHECK_OK(stamp(states, key.boot));
  ret_chunks.push_back({.row = id, .device = device, .states = std::move(states)});
  return {};
}

Result<> Outbox::Impl::stamp(std::vector<State>& states, int64_t row_boot) const {
  if (row_boot == kUtc) return {};
  const WallView* wall = wall_of(row_boot);
  if (wall == nullptr) return Error{Errc::Corrupt, "chunk: a boot that nothing is known of"};
  to_wall_time(states, *wall);
  return {};
}

Result<int64_t> Outbox::row_of(const Staged& sample) {
  Impl& o = *impl_;
  const int64_t device = FP_TRY(o.devices->id_of(sample.sample.device));
  const ResetGuard guard(o.find_row);
  o.find_row.bind(1, o.row_of(item_id::of_sample(sample.number)));
  o.find_row.bind(2, o.newest);
  o.find_row.bind(3, device);
  if (!FP_TRY(o.find_row.step())) return 0;
  return o.id_of(o.find_row.integer(0));
}

Result<bool> Outbox::has(int64_t row) {
  Impl& o = *impl_;
  const ResetGuard guard(o.count_row);
  o.count_row.bind(1, o.row_of(row));
  return o.count_row.step();
}

void Outbox::Impl::set_aside(int64_t row, Size size) {
  damaged.insert(row);
  settled.rows.insert(id_of(row));
  ++totals.damaged_rows;
  totals.damaged += size.readings;
  leave(size);
  if (row == oldest_row) find_oldest();
}

void Outbox::Impl::find_oldest() {
  // From where it was, for nothing older comes: those before it, which may still have to be
  // deleted, would be gone through each time.
  int64_t from = std::exchange(oldest_row, 0);
  totals.oldest_utc_ms = 0;
  if (totals.rows <= 0) return;
  const ResetGuard guard(oldest);
  for (;;) {
    oldest.bind(1, from);
    const auto row = oldest.step();
    if (!row || !*row) return;  // an error shows at the next fetch
    const int64_t id = oldest.integer(0);
    const int64_t next = damaged.first_gap(acknowledged.first_gap(id));
    if (next == id) {
      oldest_row = id;
      totals.oldest_utc_ms = utc_of(oldest.integer(1), oldest.integer(2)).value_or(0);
      return;
    }
    from = next;
    oldest.reset();
  }
}

}  // namespace fieldpost
