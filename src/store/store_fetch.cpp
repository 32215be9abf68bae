// SPDX-License-Identifier: Apache-2.0
//
// What the uplink is given: from stage 1 on its own thread, from the disk on the store thread.
#include <algorithm>

#include "base/log.hpp"
#include "store/store_thread.hpp"
#include "store/wall.hpp"

namespace fieldpost {

// ---- Any thread.

std::shared_ptr<const DeviceIds> Store::Thread::devices_set_aside() const {
  const std::scoped_lock lock(mutex);
  return set_aside;
}

std::optional<Fetched> Store::Thread::take_staged(Lane lane, int64_t after, size_t max_points) {
  Fetched answer{.lane = lane, .chunks = {}, .from = after, .up_to = after};
  const WallView wall(stage->epochs());
  if (wall.empty()) {  // but other boots' may be known
    if (item_id::number_of(after) < stage->flushed_up_to()) return std::nullopt;
    answer.end = true;
    return answer;
  }
  auto taken = stage->take(item_id::number_of(after), max_points, lane == Lane::Custom);
  if (!taken) {
    log::error("stage 1 cannot be read", {{"FP_REASON", taken.error().message}});
    answer.end = true;
    return answer;
  }
  if (!*taken) return std::nullopt;
  answer.end = (*taken)->empty();
  answer.chunks.reserve((*taken)->size());
  const auto aside = devices_set_aside();
  for (Staged& s : **taken) {
    answer.up_to = item_id::of_sample(s.number);
    if (!belongs_to(*s.sample.device, lane)) continue;
    if (aside->contains(*s.sample.device)) {
      answer.has_gaps = true;
      continue;
    }
    std::vector<State> states(1);
    states[0].time_ms = s.sample.time.ms;
    states[0].points = std::move(s.sample.points);
    if (s.sample.time.base == CaptureTime::Base::ThisBoot) to_wall_time(states, wall);
    answer.chunks.push_back(
        {.row = answer.up_to, .device = s.sample.device, .states = std::move(states)});
  }
  return answer;
}

Fetched Store::Thread::take_live(int64_t after, size_t max_points) {
  for (;;) {
    const int64_t from = std::max(after, item_id::of_sample(stage->flushed_up_to()));
    auto staged = take_staged(Lane::Live, from, max_points);
    if (staged) return *std::move(staged);  // else a flush came in between
  }
}

// ---- The store thread.

// Not before this boot's latest epoch is stored, where rows depend on it. Without a disk after a
// while: what is in stage 1 can be sent.
bool Store::Thread::may_fetch() const {
  if (outbox) return !outbox->has_waiting_epochs() || outbox->totals().rows == 0;
  return !options.disk_first && BootClock::now() >= started + kDiskGrace;
}

Result<> Store::Thread::answer_fetches() {
  while (!fetches.empty()) {
    Fetched answer = FP_TRY(answer_to(fetches.front()));
    fetches.pop_front();
    hand_out(std::move(answer));
  }
  return {};
}

Result<Fetched> Store::Thread::answer_to(const Fetch& fetch) {
  if (!outbox) answered_without_disk = true;
  if (fetch.lane == Lane::Live) {
    if (fetch.after == item_id::kBeforeAll) return begin_live();
    if (!options.disk_first) return take_live(fetch.after, fetch.max_points);
  }
  Fetched answer{
      .lane = fetch.lane, .chunks = {}, .from = fetch.after, .up_to = fetch.after, .end = true};
  if (outbox) FP_CHECK_OK(fetch_rows(fetch, answer));
  // Nor what comes later while something that comes first waits for its time.
  const bool waits = outbox && outbox->last_fetch().ended_unstamped;
  const bool in_order = fetch.lane == Lane::All || fetch.lane == Lane::Custom;
  if (answer.end && in_order && !waits && !options.disk_first) {
    // Also what is not acknowledged of the disk is held by the uplink, or it would have come.
    const int64_t after = std::max(fetch.after, item_id::of_sample(stage->flushed_up_to()));
    if (auto staged = take_staged(fetch.lane, after, fetch.max_points)) answer = *std::move(staged);
  }
  if (answer.end && outbox && outbox->totals().rows == 0) {
    answer.up_to = std::max(fetch.after, outbox->newest_row());
  }
  return answer;
}

Result<Fetched> Store::Thread::begin_live() {
  Fetched answer{.lane = Lane::Live, .chunks = {}};
  if (outbox) {
    const Busy busy(busy_since);
    answer.chunks = FP_TRY(outbox->fetch_newest(handover, *devices_set_aside()));
  }
  // One more, lest it asks to begin once more.
  const int64_t on_disk =
      options.disk_first ? outbox->newest_row() : item_id::of_sample(stage->flushed_up_to());
  answer.from = answer.up_to = std::max(on_disk, item_id::kBeforeAll + 1);
  return answer;
}

Result<> Store::Thread::fetch_rows(const Fetch& fetch, Fetched& answer) {
  const int64_t damaged = outbox->totals().damaged_rows;
  {
    const Busy busy(busy_since);
    answer.chunks = FP_TRY(
        outbox->fetch(fetch.after, fetch.max_points, handover, fetch.lane, *devices_set_aside()));
  }
  answer.has_gaps = outbox->last_fetch().has_gaps;
  answer.up_to = outbox->last_fetch().up_to;
  answer.end = answer.chunks.empty() && !answer.has_gaps;
  if (outbox->totals().damaged_rows != damaged) {
    status_changed = true;
    deletes_at = BootClock::now() + std::max<nanoseconds>(options.flush_interval, kDeletesWait);
    log::error("damaged rows of the outbox were set aside",
               {{"FP_COUNT", std::to_string(outbox->totals().damaged_rows - damaged)}});
  }
  return {};
}

}  // namespace fieldpost
