// SPDX-License-Identifier: Apache-2.0
//
// What has no time of its own: repeated ones, what the broker would drop, boots without any; and
// where epochs and the mark are kept.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "clock_gateway.hpp"
#include "uplink/batcher.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture

TEST(ClockKeeper, EpochsComeFromTheDiskWhereStage1IsLost) {
  TempDir dir;
  TempDir later;
  Sent sent;
  {
    Gateway g(Gateway::folders_in(dir), true);
    g.synchronise(kNoon);
    g.now = kHour;
    g.read(1);
    sent = g.send();
    image(dir.path(), later, false);
  }
  Gateway g(later.path(), false);
  g.now = 2 * kHour;
  g.synchronise(kNoon + kHour);
  g.now += kMinute;
  g.read(2);
  const Sent after = g.send();
  expect_unchanged(sent, after);
  EXPECT_EQ(after.at(2), (Stamp{kNoon + kHour + g.now, false}));
  EXPECT_EQ(g.store().clock().boot.epochs().size(), 2U);
}

TEST_P(KeeperInStage, WhatRepeatsATimeIsSentAndCounted) {
  Gateway g(folder_, GetParam());
  g.synchronise(kNoon);
  g.read_until(kHour);
  EXPECT_EQ(g.store().status().repeated, 0);
  g.step(-30 * kMinute);
  g.now += kMinute;
  g.read_until(2 * kHour);
  // From 61 to 90 minutes on they have the times of 31 to 60. A second fetch does not count.
  EXPECT_EQ(g.send().size(), 118U);
  EXPECT_EQ(g.send().size(), 118U);
  EXPECT_EQ(g.store().status().repeated, 30);
}

TEST_P(KeeperInStage, MillisecondsOfADeviceAreUniqueWithinAnEpoch) {
  Gateway g(folder_, GetParam());
  g.synchronise(kNoon);
  std::set<int64_t> used;
  for (int64_t i = 0; i < 15; ++i) g.read(i, kMinute + i / 5);  // five in each millisecond
  g.now += 2;
  g.step(-2 * kHour);  // some are ahead of the clock: they have been stamped before it
  const Sent sent = g.send();
  ASSERT_EQ(sent.size(), 15U);
  for (const auto& [value, stamp] : sent) {
    EXPECT_TRUE(used.insert(stamp.utc_ms).second) << value;
    EXPECT_GE(stamp.utc_ms, kNoon) << value;  // the step concerns none of them
  }
}

TEST_P(KeeperInStage, WhatTheBrokerWouldDropIsNotSentButCountedAndDone) {
  Gateway g(folder_, GetParam());
  g.now = kHour;
  g.lose_time(kNoon);
  const auto utc = [&](const std::string& device, int64_t ms) {
    g.append(testing::sample(device, ms, {{"a", 1.0}, {"b", 2.0}}, CaptureTime::Base::Utc));
  };
  utc("old", kNoon - 30 * kDay);
  utc("new", kNoon + kDay + 2 * kHour);
  g.read(1);
  g.synchronise(kNoon);
  Batcher batcher(240'000);
  std::vector<int64_t> rows;
  for (int i = 0; i < 2; ++i) {  // twice, as after a disconnection
    rows.clear();
    for (Chunk& chunk : g.fetch()) {
      rows.push_back(chunk.row);
      batcher.add(std::move(chunk));
    }
  }
  EXPECT_EQ(rows.size(), 3U);
  EXPECT_EQ(g.store().status().too_old, 2);
  EXPECT_EQ(g.store().status().too_new, 2);
  g.store().acknowledge(batcher.take_done());
  const auto message = batcher.next(240'000);
  ASSERT_TRUE(message);
  EXPECT_EQ(*message->device, "d");
  EXPECT_FALSE(batcher.next(240'000));
  EXPECT_EQ(g.fetch().size(), 1U) << "the others are gone";
  ASSERT_TRUE(g.ears().wait_for_status(
      [&](const StoreStatus&) { return g.store().status().waiting() == 1; }));
}

TEST_P(KeeperInStage, AnEstimatedClockThrowsNothingAway) {
  Gateway g(folder_, GetParam());
  g.append(testing::sample("d", kNoon - 400 * kDay, {{"a", 5.0}}, CaptureTime::Base::Utc));
  g.keeper().set_hold(0s);
  g.keeper().on_line(BootTime(0s));
  g.now = kMinute;
  g.lose_time(kNoon);
  EXPECT_EQ(g.send().size(), 1U);
  EXPECT_EQ(g.store().status().too_old, 0);
}

TEST(ClockKeeper, AClockThatSays1970IsNotBelievedBelowTheFloor) {
  TempDir dir;
  Gateway g(Gateway::folders_in(dir), false);
  ClockKeeper keeper(g.store(), {.hold = 0s, .floor_ms = kNoon, .clocks = [&] {
                                   return ClockKeeper::Clocks{g.now, 0};
                                 }});
  keeper.on_line(BootTime(0s));
  g.now = kMinute;
  g.read(1);
  keeper.on_time_sync(false);
  EXPECT_EQ(g.send(), (Sent{{1, {kNoon + kMinute, true}}}));
}

TEST(ClockKeeper, TheMarkIsStoredNowAndThenWithoutAnythingElseToWrite) {
  TempDir dir;
  TempDir later;
  {
    Gateway g(Gateway::folders_in(dir), false);
    g.synchronise(kNoon);
    TempDir at_once;
    EXPECT_TRUE(test::eventually([&] {
      std::filesystem::remove_all(at_once.path());
      Gateway next(image(dir.path(), at_once, false), false, kBoots[1]);
      return next.store().clock().high_water_ms == kNoon + kMinute;
    }));
    g.now += 10 * kMinute;
    g.keeper().look();
    EXPECT_TRUE(g.store().stop(10s));
    image(dir.path(), later, false);
  }
  Gateway g(later.path(), false, kBoots[1]);
  EXPECT_EQ(g.store().clock().high_water_ms, kNoon + 11 * kMinute);
}

TEST(ClockKeeper, ADiskThatComesUpLateKeepsItsMark) {
  TempDir dir;
  TempDir later;
  {
    Gateway g(Gateway::folders_in(dir), false);
    g.synchronise(kNoon);
    EXPECT_TRUE(g.store().stop(10s));
    image(dir.path(), later, false);
  }
  std::filesystem::rename(later / "state", later / "hidden");
  Gateway g(later.path(), false, kBoots[1]);
  g.lose_time(0);
  ASSERT_TRUE(test::eventually([&] {
    g.keeper().look();
    return g.keeper().view().known;
  })) << "it does not wait for the disk for ever";
  std::filesystem::rename(later / "hidden", later / "state");
  ASSERT_TRUE(g.wait_for_the_disk());
  g.keeper().look();
  EXPECT_EQ(g.store().clock().high_water_ms, kNoon + kMinute);
  g.read(1);
  EXPECT_TRUE(g.store().stop(10s));
  Gateway next(later.path(), false, kBoots[2]);
  EXPECT_EQ(next.store().clock().high_water_ms, kNoon + kMinute);
}

}  // namespace
}  // namespace fieldpost
