// SPDX-License-Identifier: Apache-2.0
//
// Which times readings get, and keep.
#include "main/clock_keeper.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "clock_gateway.hpp"
#include "uplink/batcher.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture

INSTANTIATE_TEST_SUITE_P(Clock, KeeperInStage, ::testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Disk" : "Memory"; });

TEST_P(KeeperInStage, TimeAfterTenMinutesIsRightForAllBefore) {
  Gateway g(folder_, GetParam());
  g.lose_time(0);
  g.read_until(10 * kMinute);
  g.keeper().look();
  EXPECT_TRUE(g.send().empty());
  EXPECT_FALSE(g.keeper().view().may_send);
  EXPECT_TRUE(g.unstamped(9));
  g.synchronise(kNoon);
  EXPECT_TRUE(g.keeper().view().may_send);
  const Sent sent = g.send();
  ASSERT_EQ(sent.size(), 9U);
  for (const auto& [value, stamp] : sent) {
    EXPECT_EQ(stamp, (Stamp{kNoon + value * kMinute, false}));
  }
  EXPECT_TRUE(g.unstamped(0));
}

TEST_P(KeeperInStage, StepsOfHoursChangeNoStampThatWasSentNorIntervalsNorOrder) {
  Gateway g(folder_, GetParam());
  g.synchronise(kNoon);
  int64_t expected = kNoon;
  int64_t begin = g.now;
  Sent sent;
  for (const int64_t step : {int64_t{0}, -2 * kHour, 3 * kDay}) {
    g.step(step);
    expected += step;
    g.now = begin + kMinute;  // a step holds from after the millisecond in which it came
    g.read_until(begin + 20 * kMinute);
    const Sent now = g.send();
    expect_unchanged(sent, now);
    sent = now;
    for (int64_t t = begin + kMinute; t < g.now; t += kMinute) {
      ASSERT_TRUE(sent.contains(t / kMinute));
      EXPECT_EQ(sent.at(t / kMinute), (Stamp{expected + t, false})) << step << " at " << t;
    }
    begin = g.now;
  }
  EXPECT_EQ(sent.size(), 57U);
}

TEST_P(KeeperInStage, AKillInBetweenChangesNoStamp) {
  TempDir later;
  Sent sent;
  {
    Gateway g(folder_, GetParam());
    g.synchronise(kNoon);
    g.read_until(10 * kMinute);
    g.step(-2 * kHour);
    g.now += kMinute;
    g.read_until(20 * kMinute);
    sent = g.send();
    image(folder_, later, true);
  }
  Gateway g(later.path(), GetParam());
  g.now = 30 * kMinute;
  expect_unchanged(sent, g.send());  // before anybody has looked at the clock
  g.synchronise(kNoon + 3 * kDay);   // it was set meanwhile
  g.now += kMinute;
  g.read(1000);
  const Sent after = g.send();
  expect_unchanged(sent, after);
  EXPECT_EQ(after.at(1000), (Stamp{kNoon + 3 * kDay + 31 * kMinute, false}));
  EXPECT_EQ(after.size(), sent.size() + 1);
}

TEST_P(KeeperInStage, AKillBeforeThereIsTimeLosesNothing) {
  TempDir later;
  {
    Gateway g(folder_, GetParam());
    g.lose_time(0);
    g.read_until(10 * kMinute);
    image(folder_, later, true);
  }
  Gateway g(later.path(), GetParam());
  g.now = 11 * kMinute;
  g.lose_time(0);
  EXPECT_TRUE(g.send().empty());
  g.synchronise(kNoon);
  const Sent sent = g.send();
  ASSERT_EQ(sent.size(), 9U);
  for (const auto& [value, stamp] : sent) {
    EXPECT_EQ(stamp, (Stamp{kNoon + value * kMinute, false}));
  }
}

// The first boot leaves its mark, the second never has time and is cut off, the third has.
TEST(ClockKeeper, ABootThatNeverHadTimeIsPlacedBetweenTheMarkAndTheNext) {
  TempDir first;
  TempDir second;
  TempDir third;
  {
    Gateway g(Gateway::folders_in(first), true, kBoots[0]);
    g.now = kHour;
    g.synchronise(kNoon);
    g.read(1000);
    EXPECT_EQ(g.send().size(), 1U);
    image(first.path(), second, false);
  }
  {
    Gateway g(second.path(), true, kBoots[1]);
    EXPECT_EQ(g.store().clock().high_water_ms, kNoon + kHour);
    g.lose_time(0);
    g.read_until(10 * kMinute);
    EXPECT_EQ(g.send().size(), 1U) << "that of the boot before, whose time is known";
    image(second.path(), third, false);
  }
  Gateway g(third.path(), false, kBoots[2]);
  g.lose_time(0);
  g.now = kMinute;
  g.read(100);
  EXPECT_EQ(g.send().size(), 1U);
  EXPECT_TRUE(g.unstamped(10));
  EXPECT_EQ(g.store().status().totals.damaged_rows, 0);
  g.synchronise(kNoon + 5 * kDay);
  const Sent sent = g.send();
  ASSERT_EQ(sent.size(), 11U);
  EXPECT_EQ(sent.at(1000), (Stamp{kNoon + kHour, false}));
  EXPECT_EQ(sent.at(100), (Stamp{kNoon + 5 * kDay + kMinute, false}));
  // Its clock said 1970: as late as can be.
  EXPECT_EQ(sent.at(1), (Stamp{kNoon + 5 * kDay - 8 * kMinute, true}));
  EXPECT_EQ(sent.at(9), (Stamp{kNoon + 5 * kDay, true}));
  EXPECT_TRUE(g.unstamped(0));
  // The next process finds them as they are.
  TempDir again;
  Gateway next(image(third.path(), again, true), false, kBoots[2]);
  expect_unchanged(sent, next.send());
  EXPECT_TRUE(next.store().clock().ended.empty());
}

// Two boots without time: the second's hold expires, and what it made of the first is not made
// again.
TEST(ClockKeeper, AnEstimateForABootThatEndedIsMadeOnce) {
  TempDir dir;
  TempDir later;
  {
    Gateway g(Gateway::folders_in(dir), true, kBoots[0]);
    g.synchronise(kNoon);
    g.read(1);
    EXPECT_EQ(g.send().size(), 1U);
    TempDir second;
    Gateway without(image(dir.path(), second, false), true, kBoots[1]);
    without.lose_time(0);
    without.now = kHour;
    without.read(2);
    image(second.path(), later, false);
  }
  Gateway g(later.path(), true, kBoots[2]);
  g.keeper().on_line(BootTime(0s));
  g.lose_time(0);
  g.read(3);
  g.keeper().set_hold(0s);
  const Sent sent = g.send();
  EXPECT_EQ(sent.size(), 3U);
  EXPECT_EQ(sent.at(2), (Stamp{kNoon + kMinute + kHour, true}));
  EXPECT_EQ(sent.at(3), (Stamp{kNoon + kMinute + kHour + kMinute, true}));
  g.keeper().look();
  EXPECT_EQ(g.store().clock().boot.epochs().size(), 1U);
}

// The third boot has a time before it knows of the second one, which has none.
TEST(ClockKeeper, NothingOvertakesWhatWaitsForItsTime) {
  TempDir dir;
  TempDir later;
  {
    Gateway g(Gateway::folders_in(dir), true, kBoots[1]);
    g.lose_time(kNoon - kHour);
    g.read(1);
    image(dir.path(), later, false);
  }
  Gateway g(later.path(), false, kBoots[2]);
  testing::keep(g.store(), {g.now, kNoon});
  g.read(2);
  EXPECT_TRUE(g.send().empty());
  g.synchronise(kNoon);
  std::vector<int64_t> times;
  for (const Chunk& chunk : g.fetch()) times.push_back(chunk.states.at(0).time_ms);
  EXPECT_EQ(times, (std::vector{kNoon - kHour + kMinute, kNoon + kMinute}));
}

TEST_P(KeeperInStage, AfterHoldReadingsGoWithAnEstimateAndSaySo) {
  Gateway g(folder_, GetParam());
  g.lose_time(kNoon - kDay);
  g.read(7);
  g.now = 24 * kHour;
  g.keeper().look();
  EXPECT_FALSE(g.keeper().view().may_send) << "nobody could be sent to";
  EXPECT_FALSE(g.keeper().view().held_until_ms);
  g.keeper().on_line(BootTime(24h));
  EXPECT_EQ(g.keeper().view().held_until_ms, 24 * kHour + 10 * kMinute);
  EXPECT_TRUE(g.send().empty());
  g.now = 24 * kHour + 10 * kMinute;
  g.keeper().look();
  EXPECT_TRUE(g.keeper().view().estimated);
  Batcher batcher(240'000);
  for (Chunk& chunk : g.fetch()) batcher.add(std::move(chunk));
  const auto message = batcher.next(240'000);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->payload, R"({"time":)" + std::to_string(kNoon - kDay + kMinute) +
                                  R"(,"data":{"a":7},"meta":{"time_estimated":true}})");
  const Sent sent = g.send();
  // What comes once there is time does not say it; what was sent keeps its estimate, a kill or not.
  g.synchronise(kNoon);
  g.now += kMinute;
  g.read(8);
  TempDir later;
  Gateway again(image(folder_, later, true), GetParam());
  again.now = g.now;
  for (Gateway* gateway : {&g, &again}) {
    const Sent after = gateway->send();
    expect_unchanged(sent, after);
    EXPECT_EQ(after.at(8), (Stamp{kNoon + g.now, false}));
  }
}

TEST_P(KeeperInStage, AShorterHoldTakesEffectAtOnce) {
  Gateway g(folder_, GetParam());
  g.keeper().on_line(BootTime(0s));
  g.now = kMinute;
  g.lose_time(kNoon);
  g.read(1);
  EXPECT_TRUE(g.send().empty());
  g.keeper().set_hold(0s);
  EXPECT_EQ(g.send(), (Sent{{1, {kNoon + kMinute, true}}}));
}

TEST_P(KeeperInStage, AStepThatNobodyVouchesForIsShownAndNotFollowed) {
  Gateway g(folder_, GetParam());
  g.synchronise(kNoon);
  g.now = kHour;
  g.offset += 3 * kDay;
  g.keeper().look();
  EXPECT_EQ(g.keeper().view().ignored_step_ms, 0) << "the sources have not been heard about it";
  g.read(1);
  g.lose_time(g.offset);
  EXPECT_EQ(g.keeper().view().ignored_step_ms, 3 * kDay);
  g.now = 2 * kHour;
  g.read(2);
  EXPECT_EQ(g.send(), (Sent{{1, {kNoon + kHour, false}}, {2, {kNoon + 2 * kHour, false}}}));
}

// Without stage 1, as when its tmpfs is emptied, the disk knows this boot.

}  // namespace
}  // namespace fieldpost
