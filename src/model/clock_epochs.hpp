// SPDX-License-Identifier: Apache-2.0
//
// Which epochs a boot gets, and when its samples may leave. Pure: the caller watches the clock
// (base/time_sync.hpp), asks here whenever something in ClockFacts changed or the time to look
// again has come, stores what is decided and only then sends.
//
//  - Until the clock is synchronised nothing of this boot is sent. The first synchronised epoch
//    holds for all that came before it, so a boot whose time came late has right stamps throughout.
//  - If no time comes, an estimated epoch lets the samples go: once the boot is `hold` old, and not
//    before the broker has been in reach for some minutes. As long as nobody can be sent to, an
//    estimate would help nobody, and a line that comes back often brings the time with it.
//    `hold` counts from the start of the boot, not from the oldest sample that is kept: a restart
//    of the agent or an outbox that drops its oldest must not begin it anew, and no sample waits
//    longer for it.
//  - After that a step of the clock appends an epoch that holds from then on. One that comes while
//    the clock is not synchronised is not believed if this boot has been synchronised: boot time
//    drifts by seconds a week, a clock set by hand may be off by anything.
//  - No epoch is ever changed or taken back: what was sent once keeps its stamp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/time.hpp"

namespace fieldpost {

// Steps smaller than this are not followed. NTP slews move boot time along and never the offset;
// a leap second does, and is followed.
inline constexpr int64_t kClockStepMs = 500;

// A boot that is over, has rows in the outbox and no epoch.
struct EndedBoot {
  int64_t last_ms = 0;  // boot time of its last row
  // What its clock, which nobody vouched for, said: UTC minus boot time. None: it was not noted.
  std::optional<int64_t> seen_offset_ms;
  int64_t id = 0;  // the caller's
};

struct ClockFacts {
  int64_t now_ms = 0;         // boot time
  int64_t offset_ms = 0;      // the system clock minus boot time, now
  bool synchronised = false;  // or declared right by clock.trust
  int64_t hold_ms = 0;        // clock.hold; 0: estimates need no waiting
  // Boot time since which the broker is in reach; none: it is not.
  std::optional<int64_t> online_since_ms;
  // UTC that has certainly been reached, from an earlier boot; 0: none is known.
  int64_t high_water_ms = 0;
  // Boots since the high-water mark, oldest first.
  std::vector<EndedBoot> ended;
};

struct ClockDecision {
  // To be appended to this boot's epochs, on the medium before it is used. It holds from after
  // `now_ms` on, of which nothing may have been stamped yet; the first one for all.
  std::optional<Epoch> append;
  // One for each of `facts.ended`, or empty: not yet. To be stored together with `append`.
  std::vector<Epoch> ended;
  // Samples of this boot may be sent (when `append` is stored).
  bool may_send = false;
  // What the mark is now, to be stored with the rest. Synchronised time moves it: up, or back if it
  // is more than a day ahead, which a clock that was synchronised and wrong must have done. Besides
  // that, the boots in `facts.ended` have certainly lasted as long as they did.
  int64_t high_water_ms = 0;
  // By how much the system clock is away from this boot's epochs without being believed; 0: it is
  // not. For the status.
  int64_t ignored_step_ms = 0;
  // Boot time; none: when a fact has changed.
  std::optional<int64_t> look_again_ms;
};

// `boot` are the stored epochs of this boot, which is all that a restarted agent needs to know.
ClockDecision decide_epochs(const WallView& boot, const ClockFacts& facts);

// Whether a stamp lies where an earlier epoch of its boot put other stamps: the clock went back in
// between, and readings of the same attribute may overwrite each other at the broker. Never so for
// the first epoch. `boot` is not empty.
bool repeats_utc(const WallView& boot, int64_t boot_ms);

// Losant drops in silence, though it acknowledges, what is older than 30 days or more than a day
// ahead (docs.losant.com/mqtt/overview): the caller counts and says it instead of sending it.
enum class Sendable : uint8_t { Yes, TooOld, TooNew };
Sendable sendable(int64_t utc_ms, int64_t now_utc_ms);

}  // namespace fieldpost
