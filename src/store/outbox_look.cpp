// SPDX-License-Identifier: Apache-2.0
//
// Looking at what is in the outbox without taking part in the sending of it.
#include <algorithm>

#include "store/outbox_impl.hpp"
#include "store/wall.hpp"

namespace fieldpost {
namespace {

// Of a row that goes out sample by sample, those that have been acknowledged.
bool is_acknowledged(const Handover::Row& row, int64_t ms) {
  return std::ranges::any_of(
      row.members, [ms](const Handover::Member& m) { return m.ms == ms && m.acknowledged; });
}

}  // namespace

bool Outbox::Impl::has_time(int64_t row_boot) const {
  return row_boot == kUtc || wall_of(row_boot) != nullptr;
}

Result<Outbox::Look> Outbox::look(int64_t place, size_t max_points, const Handover& handover,
                                  const Handover& seen) {
  Impl& o = *impl_;
  Look found{.place = place};
  size_t points = 0;
  const ResetGuard guard(o.select);
  o.select.bind(1, place);
  while (points < max_points) {
    if (!FP_TRY(o.select.step())) {
      found.end = true;
      break;
    }
    const int64_t row = found.place = o.select.integer(0);
    if (o.acknowledged.contains(row) || o.damaged.contains(row)) continue;
    points += static_cast<size_t>(std::max<int64_t>(1, o.select.integer(4)));
    auto decoded = o.decode_row();
    if (!decoded && decoded.error().code != Errc::Corrupt && decoded.error().code != Errc::Invalid)
      return std::move(decoded).error();
    if (!decoded) {
      ++found.damaged_rows;
      continue;
    }
    auto& [key, device, states] = *decoded;
    const Handover::Row* parts = handover.find(o.id_of(row));
    for (const Handover* known : {&handover, &seen}) {
      const std::set<int64_t>* gone = known->left_out(o.id_of(row));
      if (gone == nullptr) continue;
      std::erase_if(states, [gone](const State& s) { return gone->contains(s.time_ms); });
    }
    if (parts != nullptr)
      std::erase_if(states, [&](const State& s) { return is_acknowledged(*parts, s.time_ms); });
    const bool timed = o.has_time(key.boot);
    if (timed) FP_CHECK_OK(o.stamp(states, key.boot));
    found.readings.push_back({.device = device, .timed = timed, .states = std::move(states)});
  }
  return found;
}

Result<bool> Outbox::count(int64_t& place, size_t max_rows, DeviceCounts& counts) {
  Impl& o = *impl_;
  const ResetGuard guard(o.select);
  o.select.bind(1, place);
  for (size_t i = 0; i < max_rows; ++i) {
    if (!FP_TRY(o.select.step())) return false;
    place = o.select.integer(0);
    if (o.acknowledged.contains(place) || o.damaged.contains(place)) continue;
    const int64_t row_boot = o.select.integer(2);
    const int64_t utc_ms = o.utc_of(row_boot, o.select.integer(3)).value_or(0);
    const Symbol device = FP_TRY(o.devices->symbol_of(o.select.integer(1)));
    if (device == nullptr) continue;  // a damaged row, as fetch() will find
    counts[*device].add(o.select.integer(4), utc_ms);
  }
  return true;
}

int64_t Outbox::newest_place() const { return impl_->newest; }

}  // namespace fieldpost
