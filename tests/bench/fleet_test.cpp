// SPDX-License-Identifier: Apache-2.0
//
// The fleet's simulation against cases that can be counted by hand, and what the agent's constants
// must achieve in it.
#include "fleet/fleet.hpp"

#include <gtest/gtest.h>

namespace fieldpost::bench {
namespace {

using namespace std::chrono_literals;

Dialler every_second(uint64_t /*seed*/) {
  return [](const Drop&) { return 1s; };
}

Dialler agent(uint64_t seed) {
  return [redial = Redial(1s, 5min, seed)](const Drop& drop) mutable {
    return redial.on_drop(drop).pause;
  };
}

// 10 come in after 1 s, 10 after 11 s, 10 after 21 s.
TEST(Fleet, LetsInAsManyAsTheLimitSays) {
  const Outcome outcome =
      simulate({.gateways = 30, .limit = 10, .window = 10s, .excess = Excess::Refuse, .down = 0s},
               every_second);
  EXPECT_EQ(outcome.all, 21s);
  EXPECT_EQ(outcome.half, 11s);
  EXPECT_EQ(outcome.peak, 30);
  EXPECT_EQ(outcome.attempts, 30 + 9 * 20 + 20 + 9 * 10 + 10);
  EXPECT_EQ(outcome.refused, outcome.attempts - 30);
  EXPECT_EQ(outcome.in_vain, 0);
}

TEST(Fleet, EachApplicationHasItsOwnLimit) {
  const Outcome outcome =
      simulate({.applications = 3, .gateways = 30, .limit = 10, .down = 0s}, every_second);
  EXPECT_EQ(outcome.all, 1s);
  EXPECT_EQ(outcome.refused, 0);
}

TEST(Fleet, CountsTimeFromWhenTheBrokerListens) {
  const Outcome outcome = simulate({.gateways = 7, .down = 10s}, every_second);
  EXPECT_EQ(outcome.all, 0s);
  EXPECT_EQ(outcome.in_vain, 7 * 9);
  EXPECT_EQ(outcome.attempts, 7);
}

// The second of two is refused after 1 s, and then for 30 s. The third sees a second ban.
TEST(Fleet, ABanHoldsForThirtySecondsAndDoubles) {
  Scenario s{.gateways = 2, .limit = 1, .window = 10s, .excess = Excess::Ban, .down = 0s};
  EXPECT_EQ(simulate(s, every_second).all, 31s);
  s.gateways = 3;
  EXPECT_EQ(simulate(s, every_second).all, 91s);
}

TEST(Fleet, WhereEveryAttemptCountsWhoComesTooOftenStaysOut) {
  const Outcome outcome = simulate({.gateways = 2,
                                    .limit = 1,
                                    .window = 2s,
                                    .excess = Excess::Count,
                                    .down = 0s,
                                    .give_up = 10min},
                                   every_second);
  EXPECT_EQ(outcome.not_back, 1);
  EXPECT_EQ(outcome.all, -1ms);
}

// Three lives of 5 s, each after 2 s: all come in after each.
TEST(Fleet, DropsAllEachTimeTheBrokerDies) {
  const Outcome outcome =
      simulate({.gateways = 4, .down = 2s, .deaths = 3, .up = 5s}, every_second);
  EXPECT_EQ(outcome.attempts, 3 * 4);
  EXPECT_EQ(outcome.in_vain, 3 * 4);
  EXPECT_EQ(outcome.all, 0s);
}

// Losant's limit lets 10,000 in within 500 s at best; bench/README.md has the whole picture.
TEST(Fleet, TheAgentComesBackWithFewAttempts) {
  for (const auto refusal : {Drop::By::Refusal, Drop::By::Broker}) {
    const Outcome outcome = simulate({.gateways = 10'000, .refusal = refusal}, agent);
    EXPECT_EQ(outcome.not_back, 0);
    EXPECT_LE(outcome.half, 2 * 250s);
    EXPECT_LE(outcome.all, 75min);  // 65 min with bans, which double
    EXPECT_LE(outcome.attempts, 6 * 10'000);
    EXPECT_LE(outcome.peak_later, 200);
  }
}

}  // namespace
}  // namespace fieldpost::bench
