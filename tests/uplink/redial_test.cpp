// SPDX-License-Identifier: Apache-2.0
#include "uplink/redial.hpp"

#include <gtest/gtest.h>

#include <array>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using By = Drop::By;
using Cause = Redial::Cause;

constexpr Drop kNobodyThere{};

Drop closed_after(nanoseconds lasted) {
  return {.by = By::Broker, .accepted = true, .lasted = lasted};
}

class RedialTest : public ::testing::Test {
 protected:
  // The longest of so many pauses.
  Redial::Duration longest(int times, const Drop& drop = kNobodyThere) {
    Redial::Duration most{};
    for (int i = 0; i < times; ++i) most = std::max(most, redial_.on_drop(drop).pause);
    return most;
  }
  // Whether the next pause is the first of a series again: at most 2 s. Others are, too, but with
  // this seed not here.
  bool begins_anew(const Drop& drop) { return redial_.on_drop(drop).pause <= 2s; }

  Redial redial_{1s, 5min, 1};
};

TEST_F(RedialTest, PausesGrowToTheirCapWithJitter) {
  EXPECT_LE(redial_.on_drop(kNobodyThere).pause, 2s);
  EXPECT_LE(longest(2), 8s);
  const auto most = longest(200);
  EXPECT_LE(most, 5min);
  EXPECT_GT(most, 4min);
  bool differ = false;
  for (int i = 0; i < 10; ++i) {
    differ = differ || redial_.on_drop(kNobodyThere).pause != redial_.on_drop(kNobodyThere).pause;
  }
  EXPECT_TRUE(differ);
}

TEST_F(RedialTest, AConnectionThatDidNotLastEndsNoSeries) {
  longest(6);
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(begins_anew({.by = By::Other, .accepted = true, .lasted = 59s}));
  }
}

TEST_F(RedialTest, AConnectionThatLastedDoes) {
  longest(5);  // at most 32 s
  EXPECT_TRUE(begins_anew({.by = By::Other, .accepted = true, .lasted = 60s}));
}

// Else a broker that ends each connection after 61 s would be dialled once a minute for ever.
TEST_F(RedialTest, NotIfTheLastPauseWasLonger) {
  longest(30);
  Redial::Duration last{};
  while (last <= 100s) last = redial_.on_drop(kNobodyThere).pause;
  EXPECT_GT(redial_.on_drop({.by = By::Other, .accepted = true, .lasted = 99s}).pause, 1s);
}

TEST_F(RedialTest, AfterAThrottlingPausesGrowToAnHour) {
  Drop drop = closed_after(10min);
  drop.used_percent = 80;
  const auto first = redial_.on_drop(drop);
  EXPECT_EQ(first.cause, Cause::Throttled);
  EXPECT_GE(first.pause, 30s);
  EXPECT_LE(first.pause, 60s);
  // Then it does not let us in, in words or without.
  EXPECT_EQ(redial_.on_drop({.by = By::Refusal}).cause, Cause::Throttled);
  EXPECT_EQ(redial_.on_drop({.by = By::Broker}).cause, Cause::Throttled);
  const auto most = longest(100, {.by = By::Refusal});
  EXPECT_GT(most, 45min);
  EXPECT_LE(most, 1h);
  EXPECT_TRUE(begins_anew({.by = By::Other, .accepted = true, .lasted = 2h}));
}

TEST_F(RedialTest, SaysWhatAThrottlingLooksLike) {
  Drop drop = closed_after(10min);
  drop.used_percent = 80;
  EXPECT_EQ(words_of(redial_.on_drop(drop), "x", true),
            "it looks as if we had sent too much; for an hour half as much is sent");
  EXPECT_EQ(words_of(redial_.on_drop({.by = By::Refusal}), "x", false),
            "it has let us in before, so it may keep us out for having sent too much, or the "
            "access key is "
            "not valid any more");
}

TEST_F(RedialTest, WrongCredentialsAreNoThrottling) {
  for (int i = 0; i < 20; ++i) {
    const auto verdict = redial_.on_drop({.by = By::Refusal});
    EXPECT_EQ(verdict.cause, Cause::Unknown);
    EXPECT_LE(verdict.pause, 5min);
  }
}

TEST_F(RedialTest, ARefusalOfWhoWasLetInBeforeIs) {
  redial_.on_drop({.by = By::Other, .accepted = true, .lasted = 1h});
  EXPECT_EQ(redial_.on_drop({.by = By::Refusal}).cause, Cause::Throttled);
}

// It may be that the key was never good there.
TEST_F(RedialTest, ARefusalByAnotherBrokerIsNot) {
  redial_.on_drop({.by = By::Other, .host = "a", .accepted = true, .lasted = 24h});
  EXPECT_EQ(redial_.on_drop({.by = By::Refusal, .host = "b"}).cause, Cause::Unknown);
  EXPECT_EQ(redial_.on_drop({.by = By::Refusal, .host = "a"}).cause, Cause::Throttled);
}

TEST_F(RedialTest, NamesAnotherClientWithTheSameId) {
  EXPECT_EQ(redial_.on_drop(closed_after(2s)).cause, Cause::Unknown);
  EXPECT_EQ(redial_.on_drop(kNobodyThere).cause, Cause::Unknown);  // does not break the pattern
  EXPECT_EQ(redial_.on_drop(closed_after(1s)).cause, Cause::Unknown);
  const auto verdict = redial_.on_drop(closed_after(40s));
  EXPECT_EQ(verdict.cause, Cause::TakenOver);
  EXPECT_EQ(verdict.times, 3);
  EXPECT_EQ(words_of(verdict, "575ecf887ae143cd83dc4aa2", true),
            "another client seems to use the id 575ecf887ae143cd83dc4aa2: the broker has ended 3 "
            "connections in order soon after they began");
  EXPECT_GT(longest(10, closed_after(1s)), 10s);  // and backs off
}

// One that comes back every 90 s lets each connection hold.
TEST_F(RedialTest, BacksOffFromAPatientClientToo) {
  Redial::Duration most{};
  Redial::Verdict verdict;
  for (int i = 0; i < 20; ++i) {
    verdict = redial_.on_drop(closed_after(90s));
    most = std::max(most, verdict.pause);
  }
  EXPECT_EQ(verdict.cause, Cause::TakenOver);
  EXPECT_GT(most, 2min);
  EXPECT_TRUE(begins_anew(closed_after(10min))) << "it is gone";
}

// Two gateways with one id and the usual pauses: each that gets in throws the other out.
TEST(Redials, TwoWithTheSameIdDoNotHammerTheBroker) {
  std::array<Redial, 2> redials{Redial(1s, 5min, 1), Redial(1s, 5min, 2)};
  std::array<nanoseconds, 2> dials{0s, 3s};  // when; the one who is in waits for nothing
  std::array<bool, 2> knows{};
  int in = -1;
  nanoseconds since{};
  std::array<int, 2> connections{};  // in the first hour, and in the second
  for (;;) {
    const int next = in == -1 ? 0 : 1 - in;
    const nanoseconds now = dials[size_t(next)];
    if (now >= 2h) break;
    ++connections[now < 1h ? 0 : 1];
    if (in >= 0) {
      const auto verdict = redials[size_t(in)].on_drop(closed_after(now - since));
      knows[size_t(in)] = knows[size_t(in)] || verdict.cause == Cause::TakenOver;
      dials[size_t(in)] = now + verdict.pause;
    }
    in = next;
    since = now;
  }
  EXPECT_TRUE(knows[0] && knows[1]);
  // Each comes back after 150 s on average.
  EXPECT_LE(connections[1], 40) << connections[0];
  EXPECT_LE(connections[0], 80);
}

TEST_F(RedialTest, DoesNotBlameAnotherClientForWhatWeSent) {
  Drop drop = closed_after(2s);
  drop.unanswered = true;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(redial_.on_drop(drop).cause, Cause::Unknown);
}

TEST_F(RedialTest, WhatATopicExplainsDelaysNothingButNotForEver) {
  Drop drop = closed_after(2s);
  drop.unanswered = true;
  for (int i = 0; i < Redial::kExplained; ++i) EXPECT_EQ(redial_.on_drop(drop).pause, 1s);
  EXPECT_LE(redial_.on_drop(kNobodyThere).pause, 2s) << "nor what has another cause";
  EXPECT_GT(longest(20, drop), 1min);
  drop.lasted = 5min;
  EXPECT_EQ(redial_.on_drop(drop).pause, 1s) << "a connection that held begins anew";
}

TEST_F(RedialTest, AResetOrALongConnectionIsNoTakeOver) {
  for (int i = 0; i < 10; ++i) {
    redial_.on_drop(closed_after(2s));
    redial_.on_drop(closed_after(2s));
    const Drop other = i % 2 == 0 ? closed_after(1h) : Drop{.accepted = true, .lasted = 1s};
    EXPECT_EQ(redial_.on_drop(other).cause, Cause::Unknown);
  }
}

TEST_F(RedialTest, KnowsOfABanAlsoAfterARestart) {
  redial_.assume_throttled();
  EXPECT_EQ(redial_.on_drop(kNobodyThere).cause, Cause::Unknown);
  const auto verdict = redial_.on_drop({.by = By::Refusal});
  EXPECT_EQ(verdict.cause, Cause::Throttled);
  EXPECT_GE(verdict.pause, 30s);
}

TEST_F(RedialTest, AndWhenSomebodyHasDoneSomething) {
  redial_.on_drop({.by = By::Other, .accepted = true, .lasted = 1h});
  redial_.on_drop({.by = By::Refusal});
  redial_.reset();
  EXPECT_EQ(redial_.on_drop({.by = By::Refusal}).cause, Cause::Throttled);
  redial_.on_drop({.by = By::Other, .accepted = true, .lasted = 1h});
  redial_.reset();
  EXPECT_EQ(redial_.on_drop({.by = By::Refusal}).cause, Cause::Unknown) << "the key is another";
}

TEST_F(RedialTest, ForgetsWhenSomebodyHasDoneSomething) {
  longest(50);
  redial_.reset();
  EXPECT_TRUE(begins_anew(kNobodyThere));
}

}  // namespace
}  // namespace fieldpost
