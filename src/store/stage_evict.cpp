// SPDX-License-Identifier: Apache-2.0
//
// Making room in a log that is full because no disk takes what it has.
#include <utility>

#include "store/stage_log.hpp"

namespace fieldpost {

Result<std::vector<Staged>> StageLog::evict() {
  const std::scoped_lock lock(mutex_);
  std::vector<Staged> evicted;
  if (entries_.empty()) return evicted;
  // Nothing is pending in the other one, then.
  if (entries_.front().file == active_) FP_CHECK_OK(turn());
  const uint8_t file = entries_.front().file;
  const auto last = std::ranges::find_if(entries_, [&](const Entry& e) { return e.file != file; });
  const int64_t up_to = std::prev(last)->last();
  evicted = FP_TRY(read_pending(entries_.front().first - 1, SIZE_MAX, up_to));
  for_each(entries_.front().first, up_to, [this](Entry& entry, int64_t n) { done(entry, n); });
  forget_done();
  std::erase_if(evicted, [this](Staged& s) {
    if (s.number > in_flight_) return false;
    flying_.push_back(std::move(s.sample));
    return true;
  });
  return evicted;
}

int64_t StageLog::not_flushed() {
  std::vector<DeviceSample> flying;
  {
    const std::scoped_lock lock(mutex_);
    in_flight_ = 0;
    flying = std::exchange(flying_, {});
  }
  int64_t lost = 0;
  for (const DeviceSample& sample : flying) {
    if (!append({&sample, 1})) lost += static_cast<int64_t>(sample.points.size());
  }
  return lost;
}

}  // namespace fieldpost
