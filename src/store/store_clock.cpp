// SPDX-License-Identifier: Apache-2.0
//
// What Store does with time: it keeps epochs before they are used, counts what repeats a time, and
// leaves out what the broker would drop for its time.
#include <algorithm>

#include "store/store_thread.hpp"

namespace fieldpost {
namespace {

// A sample is not further ahead of the clock than that. One that says it is must not hold back the
// next epoch.
constexpr int64_t kAheadMs = 1000;

}  // namespace

Result<> Store::keep_clock(const ClockFacts& facts, const ClockDecision& decision) {
  Thread& t = *thread_;
  Thread::ClockNews news;
  if (decision.append) {
    Epoch epoch = *decision.append;
    // What has been stamped already keeps its stamp.
    const int64_t newest = std::min(t.times.newest_ms(), facts.now_ms + kAheadMs);
    if (!t.stage->epochs().empty()) epoch.since_ms = std::max(epoch.since_ms, newest + 1);
    FP_CHECK_OK(t.stage->append_epoch(epoch));
    news.append = t.stage->epochs().back();
  }
  for (size_t i = 0; i < decision.ended.size(); ++i) {
    news.ended.emplace_back(facts.ended[i].id, decision.ended[i]);
  }
  {
    const std::scoped_lock lock(t.mutex);
    // The disk may have come up, and with it a higher mark, since the facts were taken.
    t.marked = t.marked || facts.synchronised;
    t.seen_offset_ms = facts.offset_ms;
    t.known.high_water_ms = facts.synchronised
                                ? decision.high_water_ms
                                : std::max(t.known.high_water_ms, decision.high_water_ms);
    if (!news.ended.empty()) t.known.ended.clear();
  }
  t.post(std::move(news));
  return {};
}

StoredClock Store::clock() const {
  StoredClock clock;
  {
    const std::scoped_lock lock(thread_->mutex);
    clock = thread_->known;
  }
  clock.complete = clock.complete || BootClock::now() >= thread_->started + kDiskGrace;
  clock.boot = WallView(thread_->stage->epochs());
  return clock;
}

void Store::Thread::note_clock() {
  const std::scoped_lock lock(mutex);
  outbox->note_clock(known.high_water_ms, seen_offset_ms);
}

// To the uplink. From its thread and from the store thread; of one lane, one after the other.
void Store::Thread::hand_out(Fetched fetched) {
  leave_out_unsendable(fetched);
  sinks.chunks(std::move(fetched));
}

// Only a clock that somebody vouches for is good enough to throw readings away by it.
void Store::Thread::leave_out_unsendable(Fetched& fetched) {
  const WallView wall(stage->epochs());
  if (fetched.chunks.empty() || wall.empty() || wall.last().estimated) return;
  const std::scoped_lock lock(mutex);
  unsendable.leave_out(fetched, options.now_ms() + wall.last().offset_ms);
}

// As they are appended, and so each once: the epochs that stamp them are there already, or the
// first one will.
void Store::Thread::count_repeated(std::span<const DeviceSample> samples) {
  const WallView wall(stage->epochs());
  if (wall.epochs().size() < 2) return;
  for (const DeviceSample& sample : samples) {
    if (sample.time.base != CaptureTime::Base::ThisBoot) continue;
    if (repeats_utc(wall, sample.time.ms)) repeated += static_cast<int64_t>(sample.points.size());
  }
}

}  // namespace fieldpost
