// SPDX-License-Identifier: Apache-2.0
#include "main/clock_keeper.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/log.hpp"

namespace fieldpost {
namespace {

constexpr int64_t kMarkPeriodMs = 60'000;  // a mark that is so much behind is good enough

}  // namespace

int64_t ClockKeeper::built_ms() { return int64_t{FIELDPOST_BUILT} * 1000; }

ClockKeeper::Clocks ClockKeeper::read_clocks() {
  return {in_ms(BootClock::now()), in_ms(wall_offset())};
}

void ClockKeeper::on_time_sync(bool synchronised) {
  heard_ = true;
  synchronised_ = synchronised;
  offset_ms_ = options_.clocks().offset_ms;
  look();
}

void ClockKeeper::on_line(std::optional<BootTime> online_since) {
  std::optional<int64_t> since;
  if (online_since) since = in_ms(*online_since);
  if (std::exchange(online_since_ms_, since) != since) look();
}

void ClockKeeper::set_hold(nanoseconds hold) {
  if (std::exchange(options_.hold, hold) != hold) look();
}

void ClockKeeper::look() {
  StoredClock stored = store_->clock();
  if (!heard_ || !stored.complete) return;
  const ClockFacts facts{.now_ms = options_.clocks().boot_ms,
                         .offset_ms = offset_ms_,
                         .synchronised = synchronised_,
                         .hold_ms = in_ms(options_.hold),
                         .online_since_ms = online_since_ms_,
                         .high_water_ms = std::max(stored.high_water_ms, options_.floor_ms),
                         .ended = std::move(stored.ended)};
  const ClockDecision decision = decide_epochs(stored.boot, facts);
  if (is_news(facts, decision)) keep(facts, decision);
  stored.boot = store_->clock().boot;
  view_.known = true;
  view_.may_send = !stored.boot.empty();
  view_.estimated = view_.may_send && stored.boot.last().estimated;
  view_.ignored_step_ms = decision.ignored_step_ms;
  view_.held_until_ms = decision.look_again_ms;
}

bool ClockKeeper::is_news(const ClockFacts& facts, const ClockDecision& decision) const {
  return decision.append || !decision.ended.empty() || !told_mark_ms_ || !told_offset_ms_ ||
         std::abs(decision.high_water_ms - *told_mark_ms_) >= kMarkPeriodMs ||
         std::abs(facts.offset_ms - *told_offset_ms_) >= kClockStepMs;
}

void ClockKeeper::keep(const ClockFacts& facts, const ClockDecision& decision) {
  const auto kept = store_->keep_clock(facts, decision);
  std::string trouble = kept ? "" : kept.error().message;
  if (!trouble.empty() && trouble != view_.trouble) {
    log::error("what time it is cannot be stored; nothing is sent with it",
               {{"FP_REASON", trouble}});
  }
  view_.trouble = std::move(trouble);
  if (!kept) return;
  told_mark_ms_ = decision.high_water_ms;
  told_offset_ms_ = facts.offset_ms;
  if (!decision.append) return;
  log::notice(decision.append->estimated
                  ? "readings are stamped with an estimated time from now on"
                  : "readings are stamped with the time of the synchronised clock from now on",
              {{"FP_OFFSET_MS", std::to_string(decision.append->offset_ms)}});
}

}  // namespace fieldpost
