// SPDX-License-Identifier: Apache-2.0
#include "model/clock_epochs.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace fieldpost {
namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kDayMs = 1440 * kMinuteMs;
constexpr int64_t kOldestMs = 30 * kDayMs;
// How long the line must be there before an estimate is made. systemd-timesyncd asks again every
// 30 s (ConnectionRetrySec, timesyncd.conf(5)); others have their own pace.
constexpr int64_t kSettleMs = 10 * kMinuteMs;

// What the mark becomes while the clock is synchronised.
int64_t moved_mark(int64_t mark, int64_t utc_ms) {
  return mark > utc_ms + kDayMs ? utc_ms : std::max(mark, utc_ms);
}

// UTC that has certainly been reached before this boot: the mark, and then the boots since.
int64_t floor_ms(const ClockFacts& facts) {
  int64_t floor = facts.high_water_ms;
  for (const EndedBoot& boot : facts.ended) floor += boot.last_ms;
  return floor;
}

// The present clock, but not so that this boot began before what has been reached.
Epoch estimate(const ClockFacts& facts) {
  return {facts.now_ms, std::max(facts.offset_ms, floor_ms(facts)), true};
}

// When an estimate is due; none while the broker is out of reach.
std::optional<int64_t> estimate_due_ms(const ClockFacts& facts) {
  if (!facts.online_since_ms) return std::nullopt;
  const int64_t settled = *facts.online_since_ms + std::min(kSettleMs, facts.hold_ms);
  return std::max(facts.hold_ms, settled);
}

void decide_first(const ClockFacts& facts, ClockDecision& decision) {
  if (facts.synchronised) {
    decision.append = {facts.now_ms, facts.offset_ms};
  } else if (const auto due = estimate_due_ms(facts); due && *due <= facts.now_ms) {
    decision.append = estimate(facts);
    decision.high_water_ms = floor_ms(facts);  // the ended boots leave the list with this decision
  } else {
    decision.look_again_ms = due;
  }
}

void decide_next(const Epoch& last, const ClockFacts& facts, ClockDecision& decision) {
  Epoch next{facts.now_ms, facts.offset_ms};
  if (!facts.synchronised && last.estimated) next = estimate(facts);
  const int64_t step = next.offset_ms - last.offset_ms;
  const bool confirmed = facts.synchronised && last.estimated;
  if (std::abs(step) < kClockStepMs && !confirmed) return;
  if (!facts.synchronised && !last.estimated) {
    decision.ignored_step_ms = step;
    return;
  }
  // The millisecond that is running may have been stamped.
  next.since_ms = std::max(next.since_ms, last.since_ms) + 1;
  decision.append = next;
}

// Each ended boot between the mark and the boot after it, where its own clock put it or, if that
// is not known or cannot be (a clock that said 1970), as late as possible: most boots end because
// the next one begins, and what is placed too early may be too old to be sent. Where not all fit,
// the order of boots is what is kept.
std::vector<Epoch> place_ended(const ClockFacts& facts, int64_t next_start_utc_ms) {
  std::vector<Epoch> epochs(facts.ended.size());
  int64_t earliest = floor_ms(facts);
  for (size_t i = epochs.size(); i-- > 0;) {
    const EndedBoot& boot = facts.ended[i];
    earliest -= boot.last_ms;
    const int64_t latest = next_start_utc_ms - boot.last_ms;
    const int64_t seen = boot.seen_offset_ms.value_or(latest);
    epochs[i] = {0, seen < earliest ? latest : std::min(seen, latest), true};
    next_start_utc_ms = epochs[i].offset_ms;
  }
  return epochs;
}

}  // namespace

ClockDecision decide_epochs(const WallView& boot, const ClockFacts& facts) {
  ClockDecision decision;
  decision.high_water_ms = facts.synchronised
                               ? moved_mark(facts.high_water_ms, facts.now_ms + facts.offset_ms)
                               : facts.high_water_ms;
  if (boot.empty()) {
    decide_first(facts, decision);
  } else {
    decide_next(boot.last(), facts, decision);
  }
  decision.may_send = !boot.empty() || decision.append;
  if (decision.may_send) {
    const Epoch& first = boot.empty() ? *decision.append : boot.epochs().front();
    decision.ended = place_ended(facts, first.offset_ms);
  }
  return decision;
}

bool repeats_utc(const WallView& boot, int64_t boot_ms) {
  const std::vector<Epoch>& epochs = boot.epochs();
  const size_t own = boot.in_force(boot_ms);
  const int64_t utc_ms = boot_ms + epochs[own].offset_ms;
  for (size_t i = 0; i < own; ++i) {
    // In the time of this earlier epoch, the stamp would have been taken at:
    const int64_t then_ms = utc_ms - epochs[i].offset_ms;
    const int64_t from = i == 0 ? 0 : epochs[i].since_ms;
    if (then_ms >= from && then_ms < epochs[i + 1].since_ms) return true;
  }
  return false;
}

Sendable sendable(int64_t utc_ms, int64_t now_utc_ms) {
  if (utc_ms < now_utc_ms - kOldestMs) return Sendable::TooOld;
  if (utc_ms > now_utc_ms + kDayMs) return Sendable::TooNew;
  return Sendable::Yes;
}

}  // namespace fieldpost
