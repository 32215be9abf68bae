// SPDX-License-Identifier: Apache-2.0
#include "store/unsendable.hpp"

#include "base/log.hpp"

namespace fieldpost {

namespace {

constexpr auto kLogPeriod = std::chrono::hours(1);

}  // namespace

void Unsendable::leave_out(Fetched& fetched, int64_t now_utc_ms) {
  if (fetched.lane == Lane::Custom) return;  // other topics have no such rule
  const int64_t before = too_old_ + too_new_;
  for (Chunk& chunk : fetched.chunks) {
    int64_t too_old = 0;
    int64_t too_new = 0;
    std::erase_if(chunk.states, [&](const State& state) {
      const Sendable verdict = sendable(state.time_ms, now_utc_ms);
      if (verdict == Sendable::Yes) return false;
      (verdict == Sendable::TooOld ? too_old : too_new) +=
          static_cast<int64_t>(state.points.size());
      return true;
    });
    if (!counts(fetched.lane, chunk.row, too_old + too_new > 0)) continue;
    too_old_ += too_old;
    too_new_ += too_new;
  }
  const BootTime now = BootClock::now();
  if (too_old_ + too_new_ == before || (logged_ && now < *logged_ + kLogPeriod)) return;
  logged_ = now;
  log();
}

// Whether a chunk comes for the first time.
bool Unsendable::counts(Lane lane, int64_t id, bool has_any) {
  if (id <= counted_up_to_) return false;
  if (lane == Lane::Live) return has_any && ahead_.insert(id).second;
  counted_up_to_ = id;
  const bool first = !ahead_.contains(id);
  ahead_.erase(ahead_.begin(), ahead_.upper_bound(id));
  return first;
}

void Unsendable::log() const {
  log::warning(
      "readings are not sent, because the broker drops what is older than 30 days or more than a "
      "day ahead of now",
      {{"FP_TOO_OLD", std::to_string(too_old_)}, {"FP_TOO_NEW", std::to_string(too_new_)}});
}

}  // namespace fieldpost
