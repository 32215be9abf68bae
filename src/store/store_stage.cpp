// SPDX-License-Identifier: Apache-2.0
//
// Stage 1 within its bounds, when no disk takes what it has. On the main thread, which must not
// wait for the one that waits for the disk.
#include <algorithm>

#include "base/log.hpp"
#include "store/stage_thin.hpp"
#include "store/store_thread.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr auto kAgePeriod = 60s;          // between looks at ages
constexpr int64_t kRoomAgain = 10;        // percent of stage 1
constexpr size_t kSamplesInRecord = 500;  // that are appended anew at once

}  // namespace

// The older file is used again for the half of what was in it.
bool Store::Thread::make_room_in_stage() {
  if (!stage_was_full.exchange(true)) {
    log::error("stage 1 is full, and the disk takes nothing; old readings are thinned");
  }
  return thin_stage(true);
}

void Store::Thread::note_room_in_stage() {
  if (!stage_was_full || stage->percent_used() >= kRoomAgain) return;
  if (stage_was_full.exchange(false)) log::notice("stage 1 has room again");
}

void Store::Thread::drop_aged_in_stage() {
  const BootTime now = BootClock::now();
  if (options.max_age.count() == 0 || now < stage_age_at) return;
  stage_age_at = now + kAgePeriod;
  const auto oldest = stage->oldest();
  if (oldest && now - *oldest > options.max_age) thin_stage(false);
}

bool Store::Thread::thin_stage(bool for_room) {
  auto evicted = stage->evict();
  if (!evicted) {
    log::error("stage 1 cannot be thinned", {{"FP_REASON", evicted.error().message}});
    return false;
  }
  StageBounds bounds;
  if (for_room) bounds.bytes = samples_bytes(*evicted) / 2;
  if (const auto epochs = stage->epochs(); !epochs.empty()) {
    bounds.utc_offset_ms = epochs.back().offset_ms;
    if (options.max_age.count() > 0) {
      const int64_t now_utc = in_ms(BootClock::now()) + bounds.utc_offset_ms;
      bounds.oldest_utc_ms = now_utc - in_ms(options.max_age);
    }
  }
  const auto left = thin_samples(*std::move(evicted), bounds, keep_rules, toll);
  for (size_t i = 0; i < left.size(); i += kSamplesInRecord) {
    const auto some = std::span(left).subspan(i, std::min(kSamplesInRecord, left.size() - i));
    if (stage->append(some)) continue;
    for (const DeviceSample& sample : some) lost += static_cast<int64_t>(sample.points.size());
  }
  return true;
}

}  // namespace fieldpost
