// SPDX-License-Identifier: Apache-2.0
#include "fleet/fleet.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "broker/rules.hpp"

namespace fieldpost::bench {
namespace {

constexpr int64_t kStep = 10;          // ms
constexpr int64_t kSteps = 400'000;    // of the wheel: longer than the longest pause
constexpr int64_t kSettled = 120'000;  // ms after which the first rush is over
constexpr milliseconds kLongBefore = std::chrono::hours(24);

// At most `limit` events in any `span`: an event is one too many when the one `limit` before it is
// not older than that.
class Window {
 public:
  explicit Window(int limit) : times_(static_cast<size_t>(limit), INT64_MIN / 2) {}
  bool full(int64_t now, int64_t span) const { return now - times_[next_] < span; }
  void note(int64_t now) {
    times_[next_] = now;
    next_ = next_ + 1 == times_.size() ? 0 : next_ + 1;
  }

 private:
  std::vector<int64_t> times_;
  size_t next_ = 0;  // the oldest
};

struct Gateway {
  Dialler dial;
  int64_t in_since = -1;  // ms; -1: it is out
  int64_t banned_until = 0, last_ban = 0;
  int next = -1;  // in the same step of the wheel
};

class Fleet {
 public:
  Fleet(const Scenario& scenario, const Policy& policy)
      : s_(scenario),
        wheel_(kSteps, -1),
        windows_(static_cast<size_t>(s_.applications), Window(s_.limit)),
        gateways_(static_cast<size_t>(s_.gateways)),
        back_for_good_((s_.down * s_.deaths + s_.up * (s_.deaths - 1)).count()) {
    uint64_t seed = 0;
    for (Gateway& gateway : gateways_) gateway.dial = policy(seed += 0x9E3779B97F4A7C15);
  }

  Outcome run() {
    const int64_t cycle = (s_.down + s_.up).count();
    for (now_ = 0; now_ < s_.give_up.count(); now_ += kStep) {
      if (now_ % 1000 == 0) close_second();
      const bool last = now_ >= cycle * (s_.deaths - 1);
      if (last ? now_ == cycle * (s_.deaths - 1) : now_ % cycle == 0) drop_all();
      listens_ = last ? now_ >= back_for_good_ : now_ % cycle >= s_.down.count();
      int id = std::exchange(wheel_[slot(now_)], -1);
      while (id >= 0) {
        const int next = gateways_[static_cast<size_t>(id)].next;
        attempt(id);
        id = next;
      }
      if (in_ == s_.gateways && now_ >= back_for_good_) break;
    }
    close_second();
    outcome_.not_back = s_.gateways - in_;
    return outcome_;
  }

 private:
  static size_t slot(int64_t ms) { return static_cast<size_t>(ms / kStep % kSteps); }

  void close_second() {
    outcome_.peak = std::max(outcome_.peak, this_second_);
    if (now_ > back_for_good_ + kSettled)
      outcome_.peak_later = std::max(outcome_.peak_later, this_second_);
    this_second_ = 0;
  }

  void drop_all() {
    for (int id = 0; id < s_.gateways; ++id) {
      Gateway& gateway = gateways_[static_cast<size_t>(id)];
      if (now_ > 0 && gateway.in_since < 0) continue;
      const milliseconds lasted = now_ == 0 ? kLongBefore : milliseconds(now_ - gateway.in_since);
      gateway.in_since = -1;
      wait(id, {.by = Drop::By::Broker, .accepted = true, .lasted = lasted});
    }
    in_ = 0;
  }

  void wait(int id, const Drop& drop) {
    Gateway& gateway = gateways_[static_cast<size_t>(id)];
    const int64_t pause = std::max(gateway.dial(drop).count(), kStep);
    gateway.next = std::exchange(wheel_[slot(now_ + pause)], id);
  }

  void attempt(int id) {
    if (!listens_) {
      ++outcome_.in_vain;
      return wait(id, {.by = Drop::By::Other});
    }
    ++outcome_.attempts;
    ++this_second_;
    Gateway& gateway = gateways_[static_cast<size_t>(id)];
    if (!is_let_in(gateway, windows_[static_cast<size_t>(id % s_.applications)])) {
      ++outcome_.refused;
      return wait(id, {.by = s_.refusal});
    }
    gateway.in_since = now_;
    ++in_;
    const milliseconds since(now_ - back_for_good_);
    if (in_ == s_.gateways / 2) outcome_.half = since;
    if (in_ == s_.gateways - s_.gateways / 100) outcome_.most = since;
    if (in_ == s_.gateways) outcome_.all = since;
  }

  bool is_let_in(Gateway& gateway, Window& window) const {
    if (gateway.banned_until > now_) return false;
    const bool full = window.full(now_, s_.window.count());
    if (!full || s_.excess == Excess::Count) window.note(now_);
    if (full && s_.excess == Excess::Ban) {
      gateway.last_ban =
          std::clamp(gateway.last_ban * 2, losant::kFirstRefusalMs, losant::kLongestRefusalMs);
      gateway.banned_until = now_ + gateway.last_ban;
    }
    return !full;
  }

  Scenario s_;
  std::vector<int> wheel_;  // the first gateway that dials in this step
  std::vector<Window> windows_;
  std::vector<Gateway> gateways_;
  int64_t back_for_good_;
  int64_t now_ = 0;
  bool listens_ = false;
  int in_ = 0;
  int64_t this_second_ = 0;
  Outcome outcome_;
};

}  // namespace

Outcome simulate(const Scenario& scenario, const Policy& policy) {
  return Fleet(scenario, policy).run();
}

}  // namespace fieldpost::bench
