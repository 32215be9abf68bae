// SPDX-License-Identifier: Apache-2.0
#include "model/clock_epochs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

constexpr int64_t kSecond = 1000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kNoon = 1'795'435'200'000;  // some UTC

// A boot under a clock that the test sets, with what would be on the medium: epochs and mark.
// true_utc is what nobody on the machine can know.
struct Machine {
  int64_t now = 0;
  int64_t true_offset = kNoon;  // this boot began at noon
  ClockFacts facts{.offset_ms = 0, .hold_ms = 24 * kHour, .online_since_ms = 0};
  WallView stored;
  int64_t mark = 0;
  ClockDecision last;

  ClockDecision look() {
    facts.now_ms = now;
    facts.high_water_ms = mark;
    last = decide_epochs(stored, facts);
    if (last.append) stored.append(*last.append);
    mark = last.high_water_ms;
    if (!last.ended.empty()) facts.ended.clear();
    return last;
  }
  ClockDecision at(int64_t boot_ms) { return now = boot_ms, look(); }
  ClockDecision synchronise() {
    facts.offset_ms = true_offset;
    facts.synchronised = true;
    return look();
  }
  ClockDecision step(int64_t ms) {
    facts.offset_ms += ms;
    return look();
  }
  bool is_right(int64_t boot_ms) const {
    return stored.stamp(boot_ms) == Stamp{boot_ms + true_offset, false};
  }
};

TEST(ClockEpochs, TimeAfterTenMinutesIsRightForAllBefore) {
  Machine m;
  EXPECT_FALSE(m.look().may_send);
  EXPECT_FALSE(m.at(9 * kMinute).may_send);
  m.now = 10 * kMinute;
  const ClockDecision decision = m.synchronise();
  EXPECT_TRUE(decision.may_send);
  EXPECT_EQ(decision.append, (Epoch{10 * kMinute, kNoon, false}));
  for (const int64_t t : {int64_t{0}, kMinute, 10 * kMinute, kHour})
    EXPECT_TRUE(m.is_right(t)) << t;
  EXPECT_FALSE(m.at(kHour).append);
}

TEST(ClockEpochs, StepsHoldFromThenOn) {
  for (const int64_t step : {-2 * kHour, 3 * kDay, kSecond, -kSecond}) {
    SCOPED_TRACE(step);
    Machine m;
    m.synchronise();
    std::vector<std::pair<int64_t, Stamp>> stamps;
    for (int64_t t = 0; t < kHour; t += kMinute) stamps.emplace_back(t, m.stored.stamp(t));
    m.now = kHour;
    EXPECT_EQ(m.step(step).append, (Epoch{kHour + 1, kNoon + step, false}));
    for (const auto& [t, stamp] : stamps) EXPECT_EQ(m.stored.stamp(t), stamp);
    // Intervals on either side are what they were.
    EXPECT_EQ(m.stored.to_utc_ms(kHour), kNoon + kHour);
    EXPECT_EQ(m.stored.to_utc_ms(kHour + 1), kNoon + step + kHour + 1);
    EXPECT_EQ(m.stored.to_utc_ms(2 * kHour) - m.stored.to_utc_ms(kHour + 1), kHour - 1);
  }
}

TEST(ClockEpochs, WhatIsNoStepChangesNothingUntilItAddsUp) {
  Machine m;
  m.synchronise();
  EXPECT_FALSE(m.step(300).append);
  EXPECT_FALSE(m.step(-600).append);
  EXPECT_FALSE(m.step(-199).append);
  EXPECT_EQ(m.step(-1).append->offset_ms, kNoon - kClockStepMs);
}

TEST(ClockEpochs, EpochsAreInOrderEvenWithinAMillisecond) {
  Machine m;
  m.synchronise();
  m.step(kHour);
  m.step(kHour);
  ASSERT_EQ(m.stored.epochs().size(), 3u);
  EXPECT_EQ(m.stored.epochs()[1].since_ms, 1);
  EXPECT_EQ(m.stored.epochs()[2].since_ms, 2);
}

TEST(ClockEpochs, AStepThatNobodyVouchesForIsNotBelieved) {
  Machine m;
  m.synchronise();
  m.facts.synchronised = false;
  m.now = kHour;
  const ClockDecision decision = m.step(-5 * kDay);
  EXPECT_FALSE(decision.append);
  EXPECT_TRUE(decision.may_send);
  EXPECT_EQ(decision.ignored_step_ms, -5 * kDay);
  EXPECT_TRUE(m.is_right(2 * kHour));
  m.facts.synchronised = true;  // they do vouch for it, later
  EXPECT_EQ(m.at(2 * kHour).append, (Epoch{2 * kHour + 1, kNoon - 5 * kDay, false}));
  EXPECT_EQ(m.last.ignored_step_ms, 0);
}

TEST(ClockEpochs, AfterHoldAnEstimateLetsThemGo) {
  Machine m;
  m.facts.offset_ms = kNoon - kDay;
  EXPECT_EQ(m.look().look_again_ms, 24 * kHour);
  EXPECT_FALSE(m.at(24 * kHour - 1).may_send);
  EXPECT_EQ(m.at(24 * kHour).append, (Epoch{24 * kHour, kNoon - kDay, true}));
  EXPECT_TRUE(m.last.may_send);
  EXPECT_EQ(m.mark, 0) << "an estimate proves nothing";
  const Stamp sent = m.stored.stamp(kHour);
  EXPECT_EQ(sent, (Stamp{kNoon - kDay + kHour, true}));

  m.now = 30 * kHour;
  EXPECT_EQ(m.synchronise().append, (Epoch{30 * kHour + 1, kNoon, false}));
  EXPECT_EQ(m.stored.stamp(kHour), sent);
  EXPECT_TRUE(m.is_right(30 * kHour + 1));
}

TEST(ClockEpochs, ASynchronisationThatConfirmsAnEstimateIsAnEpochToo) {
  Machine m;
  m.facts.offset_ms = kNoon;
  m.at(24 * kHour);
  m.now = 25 * kHour;
  EXPECT_EQ(m.synchronise().append, (Epoch{25 * kHour + 1, kNoon, false}));
}

// While nobody can be sent to, an estimate helps nobody; and the network that brings the broker
// back brings the time.
TEST(ClockEpochs, AnEstimateWaitsForTheLine) {
  Machine m;
  m.facts.online_since_ms.reset();
  EXPECT_FALSE(m.at(3 * kDay).may_send);
  EXPECT_FALSE(m.last.look_again_ms);
  m.facts.online_since_ms = 3 * kDay;
  EXPECT_FALSE(m.look().may_send);
  ASSERT_TRUE(m.last.look_again_ms);
  EXPECT_GT(*m.last.look_again_ms, 3 * kDay + kMinute);

  Machine with_time = m;
  with_time.now = 3 * kDay + kMinute;
  with_time.synchronise();
  EXPECT_TRUE(with_time.is_right(0));

  EXPECT_TRUE(m.at(*m.last.look_again_ms).append->estimated);
}

TEST(ClockEpochs, HoldOfZeroWaitsForNothing) {
  Machine m;
  m.facts.hold_ms = 0;
  m.facts.online_since_ms = 5;
  m.facts.offset_ms = kNoon + kDay;
  EXPECT_EQ(m.at(5).append, (Epoch{5, kNoon + kDay, true}));
  EXPECT_EQ(m.synchronise().append, (Epoch{6, kNoon, false}));
}

TEST(ClockEpochs, TheMarkBeatsAClockThatSays1970) {
  Machine m;
  m.mark = kNoon;
  m.at(24 * kHour);
  EXPECT_EQ(m.stored.stamp(0), (Stamp{kNoon, true}));
  EXPECT_FALSE(m.at(25 * kHour).append) << "the clock is still wrong in the same way";
  m.now = 26 * kHour;
  EXPECT_EQ(m.step(kNoon + kHour).append, (Epoch{26 * kHour + 1, kNoon + kHour, true}));
  EXPECT_EQ(m.mark, kNoon);
}

TEST(ClockEpochs, OnlySynchronisedTimeMovesTheMark) {
  Machine m;
  m.mark = kNoon - kDay;
  m.facts.offset_ms = kNoon + 9 * kDay;
  EXPECT_EQ(m.at(kHour).high_water_ms, kNoon - kDay);
  EXPECT_EQ(m.synchronise().high_water_ms, kNoon + kHour);
  EXPECT_EQ(m.step(-2 * kHour).high_water_ms, kNoon + kHour);
  EXPECT_EQ(m.step(-2 * kDay).high_water_ms, kNoon - 2 * kDay - kHour) << "the mark was wrong";
  m.facts.synchronised = false;
  EXPECT_EQ(m.at(5 * kDay).high_water_ms, kNoon - 2 * kDay - kHour);
}

TEST(ClockEpochs, TheMarkDoesNotBoundASynchronisedBoot) {
  Machine m;
  m.mark = kNoon + 12 * kHour;
  EXPECT_EQ(m.synchronise().append, (Epoch{0, kNoon, false}));
}

TEST(ClockEpochs, ARestartFindsItsEpochsAndChangesNone) {
  for (const bool before : {true, false}) {
    Machine m;
    if (!before) m.synchronise();
    m.now = kHour;
    Machine again{.now = m.now, .facts = m.facts, .stored = m.stored, .mark = m.mark};
    EXPECT_FALSE(again.look().append);
    EXPECT_EQ(again.last.may_send, !before);
    again.now = 2 * kHour;
    again.synchronise();
    EXPECT_EQ(again.stored.epochs().size(), 1u);
    EXPECT_TRUE(again.is_right(0));
  }
}

TEST(ClockEpochs, ARestartSeesAStepThatCameMeanwhile) {
  Machine m;
  m.synchronise();
  m.now = kHour;
  m.facts.offset_ms += kHour;
  EXPECT_EQ(m.look().append, (Epoch{kHour + 1, kNoon + kHour, false}));
}

struct EndedCase {
  const char* what;
  int64_t mark;
  std::vector<EndedBoot> ended;
  std::vector<int64_t> starts;  // UTC of the ended boots' beginnings
};

// The present boot began at noon and is synchronised.
TEST(ClockEpochs, BootsThatNeverHadTimeArePlacedBetweenTheMarkAndThisBoot) {
  const std::vector<EndedCase> cases{
      {"nothing is known: as late as possible", 0, {{kHour, {}}}, {kNoon - kHour}},
      {"its clock was kept by a battery",
       kNoon - kDay,
       {{kHour, kNoon - 5 * kHour}},
       {kNoon - 5 * kHour}},
      {"its clock said 1970", kNoon - kDay, {{kHour, 0}}, {kNoon - kHour}},
      {"its clock was ahead", kNoon - kDay, {{kHour, kNoon + kDay}}, {kNoon - kHour}},
      {"two, one after the other",
       0,
       {{2 * kHour, {}}, {kHour, {}}},
       {kNoon - 3 * kHour, kNoon - kHour}},
      {"two whose clocks said 1970",
       kNoon - kDay,
       {{2 * kHour, 0}, {kHour, 0}},
       {kNoon - 3 * kHour, kNoon - kHour}},
      {"two whose clocks are out of order",
       kNoon - kDay,
       {{2 * kHour, kNoon - kHour}, {kHour, kNoon - 10 * kHour}},
       {kNoon - 12 * kHour, kNoon - 10 * kHour}},
      {"the mark leaves no room", kNoon - kMinute, {{kHour, 0}}, {kNoon - kHour}},
      {"the mark is in the future", kNoon + kDay, {{kHour, {}}}, {kNoon - kHour}},
  };
  for (const EndedCase& c : cases) {
    SCOPED_TRACE(c.what);
    Machine m{.now = kMinute, .mark = c.mark};
    m.facts.ended = c.ended;
    EXPECT_TRUE(m.look().ended.empty()) << "as long as this boot has no time";
    const std::vector<Epoch> epochs = m.synchronise().ended;
    ASSERT_EQ(epochs.size(), c.starts.size());
    for (size_t i = 0; i < epochs.size(); ++i) {
      EXPECT_EQ(epochs[i], (Epoch{0, c.starts[i], true})) << i;
    }
  }
}

// Two boots without time, then a third whose hold expires: estimates all of them, none before the
// mark, in the order of the boots; and the next look, which knows of no ended boots any more, sees
// no step.
TEST(ClockEpochs, EstimatesOfSeveralBootsDoNotOverlap) {
  Machine m{.mark = kNoon};
  m.facts.ended = {{2 * kHour, 0}, {3 * kHour, 0}};
  m.at(24 * kHour);
  ASSERT_EQ(m.last.ended.size(), 2u);
  EXPECT_EQ(m.last.ended[0].offset_ms, kNoon);
  EXPECT_EQ(m.last.ended[1].offset_ms, kNoon + 2 * kHour);
  EXPECT_EQ(m.stored.to_utc_ms(0), kNoon + 5 * kHour);
  EXPECT_FALSE(m.at(25 * kHour).append);
  m.facts.offset_ms = kNoon + 6 * kHour;
  EXPECT_EQ(m.look().append->offset_ms, kNoon + 6 * kHour);
}

TEST(ClockEpochs, ALateEndedBootGetsItsEpochFromABootThatHasOne) {
  Machine m;
  m.synchronise();
  m.facts.ended = {{kHour, {}}};
  m.now = kHour;
  EXPECT_EQ(m.step(3 * kDay).ended, (std::vector<Epoch>{{0, kNoon - kHour, true}}));
}

TEST(RepeatsUtc, TellsWhichReadingsMayOverwriteEarlierOnes) {
  WallView boot;
  boot.append({kHour, kNoon});
  EXPECT_FALSE(repeats_utc(boot, 0));
  EXPECT_FALSE(repeats_utc(boot, kDay));
  boot.append({5 * kHour, kNoon - 2 * kHour});  // set back by two hours at five
  EXPECT_FALSE(repeats_utc(boot, 5 * kHour - 1));
  EXPECT_TRUE(repeats_utc(boot, 5 * kHour));
  EXPECT_TRUE(repeats_utc(boot, 7 * kHour - 1));
  EXPECT_FALSE(repeats_utc(boot, 7 * kHour));
  boot.append({8 * kHour, kNoon + 3 * kDay});
  EXPECT_FALSE(repeats_utc(boot, 8 * kHour));
  boot.append({9 * kHour, kNoon - 3 * kHour});
  EXPECT_FALSE(repeats_utc(boot, 9 * kHour)) << "the second one ended at that";
  boot.append({10 * kHour, kNoon + 69 * kHour + 30 * kMinute});
  EXPECT_FALSE(repeats_utc(boot, 10 * kHour)) << "before the third one began";
  EXPECT_TRUE(repeats_utc(boot, 10 * kHour + 30 * kMinute));
  EXPECT_FALSE(repeats_utc(boot, 11 * kHour + 30 * kMinute));
}

TEST(Sendable, IsWhatLosantTakes) {
  EXPECT_EQ(sendable(kNoon, kNoon), Sendable::Yes);
  EXPECT_EQ(sendable(kNoon - 30 * kDay, kNoon), Sendable::Yes);
  EXPECT_EQ(sendable(kNoon - 30 * kDay - 1, kNoon), Sendable::TooOld);
  EXPECT_EQ(sendable(kNoon + kDay, kNoon), Sendable::Yes);
  EXPECT_EQ(sendable(kNoon + kDay + 1, kNoon), Sendable::TooNew);
}

// One boot of random steps, synchronisations and their loss, line losses and restarts.
struct Random {
  explicit Random(uint64_t seed) : engine(seed) {}
  int64_t upto(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n)(engine); }
  std::mt19937_64 engine;
};

void check_stamps(const std::map<int64_t, Stamp>& sent, const WallView& stored) {
  for (const auto& [boot_ms, stamp] : sent) ASSERT_EQ(stored.stamp(boot_ms), stamp) << boot_ms;
  std::map<std::pair<size_t, int64_t>, int64_t> used;  // epoch and UTC: boot time
  for (const auto& [boot_ms, stamp] : sent) {
    const size_t epoch = stored.in_force(boot_ms);
    ASSERT_TRUE(used.emplace(std::pair(epoch, stamp.utc_ms), boot_ms).second);
    const bool taken = std::ranges::any_of(used, [&](const auto& entry) {
      return entry.first.first < epoch && entry.first.second == stamp.utc_ms;
    });
    ASSERT_TRUE(!taken || repeats_utc(stored, boot_ms));
  }
}

void random_boot(Random& random) {
  Machine m{.mark = random.upto(1) * (kNoon - random.upto(kDay))};
  m.facts.hold_ms = random.upto(2) * random.upto(kHour);
  for (int64_t i = random.upto(2); i > 0; --i) m.facts.ended.push_back({random.upto(kHour), {}});
  std::vector<int64_t> held;
  std::map<int64_t, Stamp> sent;  // or could have been
  for (int turn = 0; turn < 60; ++turn) {
    m.now += random.upto(1) * random.upto(20 * kMinute);
    if (held.empty() || held.back() < m.now) held.push_back(m.now - random.upto(1));
    switch (random.upto(6)) {
      case 0:
        m.facts.synchronised = !m.facts.synchronised;
        break;
      case 1:
        m.facts.offset_ms = m.true_offset + random.upto(400);
        break;
      case 2:
        m.facts.offset_ms += random.upto(8 * kSecond) - 4 * kSecond;
        break;
      case 3:
        m.facts.offset_ms += random.upto(6 * kHour) - 3 * kHour;
        break;
      case 4:
        m = {.now = m.now, .facts = m.facts, .stored = m.stored, .mark = m.mark};
        break;
      case 5:
        m.facts.online_since_ms = m.facts.online_since_ms ? std::optional<int64_t>() : m.now;
        break;
      default:
        break;
    }
    const int64_t mark = m.mark;
    const size_t ended = m.facts.ended.size();
    const ClockDecision decision = m.look();
    ASSERT_EQ(decision.may_send, !m.stored.empty());
    ASSERT_TRUE(decision.ended.size() == (decision.may_send ? ended : 0));
    if (!m.facts.synchronised && mark > 0 && m.stored.epochs().size() == 1 && decision.append) {
      ASSERT_GE(m.stored.to_utc_ms(0), mark);
    }
    if (!decision.may_send) continue;
    for (const int64_t t : held) sent.emplace(t, m.stored.stamp(t));
    ASSERT_NO_FATAL_FAILURE(check_stamps(sent, m.stored));
  }
}

TEST(ClockEpochs, AStampThatCouldBeSentNeverChanges) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  Random random(seed);
  const int boots = test::is_long() ? 20'000 : 500;
  for (int i = 0; i < boots && !testing::Test::HasFatalFailure(); ++i) random_boot(random);
}

}  // namespace
}  // namespace fieldpost
