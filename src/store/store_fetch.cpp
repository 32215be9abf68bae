// SPDX-License-Identifier: Apache-2.0
//
// What the uplink is given: from stage 1 on its own thread, from the disk on the store thread.
#include <algorithm>

#include "base/log.hpp"
#include "store/store_thread.hpp"
#include "store/wall.hpp"

namespace fieldpost {

// ---- Any thread.

std::optional<std::vector<Chunk>> Store::Thread::take_staged(int64_t after, size_t max_points) {
  const WallView wall(stage->epochs());
  if (wall.empty()) {  // but other boots' may be known
    if (item_id::number_of(after) < stage->flushed_up_to()) return std::nullopt;
    return std::vector<Chunk>();
  }
  auto taken = stage->take(item_id::number_of(after), max_points);
  if (!taken) {
    log::error("stage 1 cannot be read", {{"FP_REASON", taken.error().message}});
    return std::vector<Chunk>();
  }
  if (!*taken) return std::nullopt;
  std::vector<Chunk> chunks;
  chunks.reserve((*taken)->size());
  for (Staged& s : **taken) {
    std::vector<State> states(1);
    states[0].time_ms = s.sample.time.ms;
    states[0].points = std::move(s.sample.points);
    if (s.sample.time.base == CaptureTime::Base::ThisBoot) to_wall_time(states, wall);
    chunks.push_back({.row = item_id::of_sample(s.number),
                      .device = s.sample.device,
                      .states = std::move(states)});
  }
  return chunks;
}

Fetched Store::Thread::take_live(int64_t after, size_t max_points) {
  for (;;) {
    const int64_t from = std::max(after, item_id::of_sample(stage->flushed_up_to()));
    auto staged = take_staged(from, max_points);
    if (!staged) continue;  // a flush came in between
    const int64_t up_to = staged->empty() ? from : staged->back().row;
    return {.lane = Lane::Live, .chunks = *std::move(staged), .from = from, .up_to = up_to};
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
  Fetched answer{.lane = fetch.lane, .chunks = {}, .from = fetch.after, .up_to = fetch.after};
  if (outbox) answer.chunks = FP_TRY(fetch_rows(fetch));
  // Nor what comes later while something that comes first waits for its time.
  const bool waits = outbox && outbox->ended_unstamped();
  if (answer.chunks.empty() && fetch.lane == Lane::All && !waits && !options.disk_first) {
    // Also what is not acknowledged of the disk is held by the uplink, or it would have come.
    const int64_t after = std::max(fetch.after, item_id::of_sample(stage->flushed_up_to()));
    answer.chunks = take_staged(after, fetch.max_points).value_or(std::vector<Chunk>());
  }
  if (!answer.chunks.empty()) {
    answer.up_to = answer.chunks.back().row;
  } else if (outbox && outbox->totals().rows == 0) {
    answer.up_to = std::max(fetch.after, outbox->newest_row());
  }
  return answer;
}

Result<Fetched> Store::Thread::begin_live() {
  Fetched answer{.lane = Lane::Live, .chunks = {}};
  if (outbox) {
    const Busy busy(busy_since);
    answer.chunks = FP_TRY(outbox->fetch_newest(handover));
  }
  // One more, lest it asks to begin once more.
  const int64_t on_disk =
      options.disk_first ? outbox->newest_row() : item_id::of_sample(stage->flushed_up_to());
  answer.from = answer.up_to = std::max(on_disk, item_id::kBeforeAll + 1);
  return answer;
}

Result<std::vector<Chunk>> Store::Thread::fetch_rows(const Fetch& fetch) {
  const int64_t damaged = outbox->totals().damaged_rows;
  std::vector<Chunk> chunks;
  {
    const Busy busy(busy_since);
    chunks = FP_TRY(outbox->fetch(fetch.after, fetch.max_points, handover, fetch.lane));
  }
  if (outbox->totals().damaged_rows != damaged) {
    status_changed = true;
    deletes_at = BootClock::now() + std::max<nanoseconds>(options.flush_interval, kDeletesWait);
    log::error("damaged rows of the outbox were set aside",
               {{"FP_COUNT", std::to_string(outbox->totals().damaged_rows - damaged)}});
  }
  return chunks;
}

}  // namespace fieldpost
