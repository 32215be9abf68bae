// SPDX-License-Identifier: Apache-2.0
#include "uplink/redial.hpp"

#include <algorithm>

namespace fieldpost {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr nanoseconds kLasting = minutes(1);
// Losant's ban begins with 30 s and grows to one hour.
constexpr seconds kBanFirst(30);
constexpr hours kBanLongest(1);
// So much of a limit was used that the broker may have counted more than we did.
constexpr int kNearLimit = 75;  // percent
// Another client that was thrown out by us is back within this, however patient it is.
constexpr nanoseconds kSoon = minutes(5);
constexpr int kPattern = 3;

}  // namespace

Redial::Redial(Duration first, Duration cap, uint64_t seed)
    : seed_(seed), first_(first), usual_(first, cap, seed), banned_(kBanFirst, kBanLongest, seed) {}

void Redial::set_cap(Duration first, Duration cap) {
  first_ = first;
  usual_ = Backoff(first, cap, seed_);
}

void Redial::reset() {
  usual_.reset();
  banned_.reset();
  last_pause_ = {};
  was_in_.clear();
  soon_closed_ = 0;
  explained_ = 0;
}

Redial::Verdict Redial::on_drop(const Drop& drop) {
  Verdict verdict = judge(drop);
  const bool held = drop.accepted && drop.lasted >= std::max<nanoseconds>(kLasting, last_pause_);
  // Not where the broker may have ended it for another client: a patient one lets each hold.
  if (held && soon_closed_ == 0) {
    usual_.reset();
    banned_.reset();
    explained_ = 0;
  }
  throttled_ = verdict.cause == Cause::Throttled || (throttled_ && !held);
  verdict.pause = pause_after(drop, verdict.cause);
  last_pause_ = verdict.pause;
  if (drop.accepted) was_in_.emplace(drop.host);
  return verdict;
}

Redial::Duration Redial::pause_after(const Drop& drop, Cause cause) {
  if (cause == Cause::Throttled) return banned_.next();
  if (drop.unanswered && explained_++ < kExplained) return first_;
  return usual_.next();
}

bool Redial::is_near_limit(const Drop& drop) { return drop.used_percent >= kNearLimit; }

Redial::Verdict Redial::judge(const Drop& drop) {
  if (drop.by == Drop::By::Refusal && (throttled_ || was_in_.contains(drop.host))) {
    return {.cause = Cause::Throttled, .refused = true};
  }
  if (drop.by != Drop::By::Broker) {
    // That nobody is there in between says nothing about who was there before.
    if (drop.accepted) soon_closed_ = 0;
    return {};
  }
  if (!drop.accepted) {
    return {.cause = throttled_ ? Cause::Throttled : Cause::Unknown, .refused = true};
  }
  if (is_near_limit(drop)) return {.cause = Cause::Throttled};
  if (drop.lasted >= kSoon) soon_closed_ = 0;
  if (drop.lasted < kSoon && !drop.unanswered) ++soon_closed_;
  if (soon_closed_ < kPattern) return {};
  return {.cause = Cause::TakenOver, .times = soon_closed_};
}

std::string words_of(const Redial::Verdict& verdict, const std::string& client_id, bool limited) {
  switch (verdict.cause) {
    case Redial::Cause::Throttled:
      return std::string(verdict.refused
                             ? "it has let us in before, so it may keep us out for having sent too "
                               "much, or "
                               "the access key is not valid any more"
                             : "it looks as if we had sent too much") +
             (limited ? "; for an hour half as much is sent" : "");
    case Redial::Cause::TakenOver:
      return "another client seems to use the id " + client_id + ": the broker has ended " +
             std::to_string(verdict.times) + " connections in order soon after they began";
    case Redial::Cause::Unknown:
      break;
  }
  return "";
}

}  // namespace fieldpost
