// SPDX-License-Identifier: Apache-2.0
//
// When to dial again, and what the way connections end says about the cause. Pure.
//
// Pauses grow exponentially with full jitter, and begin anew only after a connection that has held
// for a minute, and for longer than the last pause, and that did not end like a take-over: one that
// the broker ends again and again after a while would else be dialled every few seconds for ever,
// which is what gets a gateway banned. What the quarantine can explain is no reason to wait longer:
// the search for a topic that the broker does not take goes on after the first pause, for so many
// drops.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <string_view>

#include "base/backoff.hpp"
#include "base/clock.hpp"

namespace fieldpost {

// How a connection, or the attempt to get one, ended.
struct Drop {
  enum class By : uint8_t {
    Broker,   // it closed the connection in order
    Refusal,  // CONNACK 5: not let in, or not now
    Other,    // everything else: nobody there, reset, timed out, closed by us
  };
  By by = By::Other;
  std::string_view host = {};  // of the broker
  bool accepted = false;       // it had been up
  nanoseconds lasted{};        // since then
  bool unanswered = false;     // something was on its way, and may be why
  int used_percent = 0;        // of the rate limits, at the end
};

class Redial {
 public:
  using Duration = Backoff::Duration;
  enum class Cause : uint8_t {
    Unknown,
    Throttled,  // we have sent too much, or are not let in for having done so, as it seems
    TakenOver,  // another client logs in with our id
  };
  struct Verdict {
    Duration pause{};
    Cause cause = Cause::Unknown;
    int times = 0;         // TakenOver: in a row
    bool refused = false;  // Throttled: not let in
  };

  // Drops in a row that a topic explains and that make no pause longer: three wrong ones among ten
  // devices need eleven.
  static constexpr int kExplained = 40;

  // The first pause and the longest; after a throttling that is an hour, as is Losant's ban.
  Redial(Duration first, Duration cap, uint64_t seed = std::random_device{}());
  void set_cap(Duration first, Duration cap);

  // A broker may have thrown us out before this began.
  void assume_throttled() { throttled_ = true; }

  // The limits alone explain it.
  static bool is_near_limit(const Drop& drop);
  Verdict on_drop(const Drop& drop);
  // Somebody has done something about it: at once, and anew. That does not end a ban, so a refusal
  // is still judged as one.
  void reset();

 private:
  Verdict judge(const Drop& drop);
  Duration pause_after(const Drop& drop, Cause cause);

  uint64_t seed_;
  Duration first_;
  Backoff usual_, banned_;
  Duration last_pause_{};
  std::set<std::string, std::less<>> was_in_;  // brokers that these credentials were good for
  bool throttled_ = false;                     // until a connection holds
  int soon_closed_ = 0;                        // in a row
  int explained_ = 0;                          // since the last connection that held
};

// For people; empty where nothing is suspected. `limited`: there are limits, of which a throttling
// leaves half.
std::string words_of(const Redial::Verdict& verdict, const std::string& client_id, bool limited);

}  // namespace fieldpost
