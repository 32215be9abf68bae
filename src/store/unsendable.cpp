// SPDX-License-Identifier: Apache-2.0
#include "store/unsendable.hpp"

#include "base/log.hpp"

namespace fieldpost {

namespace {

constexpr auto kLogPeriod = std::chrono::hours(1);

}  // namespace

void Unsendable::leave_out(std::vector<Chunk>& chunks, int64_t now_utc_ms) {
  const int64_t before = too_old_ + too_new_;
  for (Chunk& chunk : chunks) {
    const bool counts = chunk.row > counted_up_to_;
    std::erase_if(chunk.states, [&](const State& state) {
      const Sendable verdict = sendable(state.time_ms, now_utc_ms);
      if (verdict == Sendable::Yes) return false;
      int64_t& counter = verdict == Sendable::TooOld ? too_old_ : too_new_;
      if (counts) counter += static_cast<int64_t>(state.points.size());
      return true;
    });
    if (counts) counted_up_to_ = chunk.row;
  }
  const BootTime now = BootClock::now();
  if (too_old_ + too_new_ == before || (logged_ && now < *logged_ + kLogPeriod)) return;
  logged_ = now;
  log();
}

void Unsendable::log() const {
  log::warning(
      "readings are not sent, because the broker drops what is older than 30 days or more than a "
      "day ahead of now",
      {{"FP_TOO_OLD", std::to_string(too_old_)}, {"FP_TOO_NEW", std::to_string(too_new_)}});
}

}  // namespace fieldpost
