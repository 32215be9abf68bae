// SPDX-License-Identifier: Apache-2.0
//
// Time through the whole of it: the keeper, the store with both of its stages, and what the uplink
// makes of it, under a clock that the test sets. Files are copied as a kill or a power cut would
// leave them.
#include "main/clock_keeper.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "fakes/test_env.hpp"
#include "store/store_ears.hpp"
#include "uplink/batcher.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using testing::Ears;
using testing::TempDir;

constexpr int64_t kSecond = 1000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kNoon = 1'795'435'200'000;  // some UTC
constexpr const char* kBoots[] = {"00000000-0000-0000-0000-00000000000a",
                                  "00000000-0000-0000-0000-00000000000b",
                                  "00000000-0000-0000-0000-00000000000c"};

using Sent = std::map<int64_t, Stamp>;  // by value: each reading has one of its own

// A gateway in one of its boots, whose clock the test sets.
class Gateway {
 public:
  // Waits for the outbox, if its folder is there. With `to_disk` what is appended goes to the disk
  // at once, and is sent from there.
  Gateway(const std::string& folder, bool to_disk, const char* boot = kBoots[0])
      : folder_(folder),
        to_disk_(to_disk),
        store_({.folder = folder + "/state",
                .run_folder = folder + "/run",
                .boot_id = boot,
                .flush_interval = to_disk ? nanoseconds(0) : nanoseconds(1h),
                .disk_first = to_disk,
                .stage_bytes = 1 << 20,
                .now_ms = [this] { return now; }},
               ears_.sinks(), testing::symbols()),
        keeper_(store_, {.hold = 24h, .floor_ms = 0, .clocks = [this] {
                           return ClockKeeper::Clocks{now, offset};
                         }}) {
    store_.start();
    const bool opens = std::filesystem::exists(folder + "/state");
    EXPECT_TRUE(!opens || wait_for_the_disk());
  }
  bool wait_for_the_disk() { return ears_.wait_for_clock(1); }
  static std::string folders_in(const TempDir& dir) {
    for (const char* name : {"/state", "/run"}) {
      std::filesystem::create_directories(dir.path() + name);
    }
    return dir.path();
  }

  // A reading at a boot time, with this value.
  void read(int64_t value, std::optional<int64_t> boot_ms = {}, const std::string& device = "d") {
    append(testing::sample(device, boot_ms.value_or(now), {{"a", static_cast<double>(value)}}));
  }
  void append(DeviceSample sample) {
    std::vector<DeviceSample> samples;
    samples.push_back(std::move(sample));
    store_.append(std::move(samples));
    if (!to_disk_) return;
    EXPECT_TRUE(test::eventually([&] { return store_.status().staged == 0; }, 20s));
  }
  // One a minute, up to but without `until`; the value is the boot time in minutes.
  void read_until(int64_t until) {
    for (; now < until; now += kMinute) read(now / kMinute);
  }
  void synchronise(int64_t utc_minus_boot) {
    offset = utc_minus_boot;
    keeper_.on_time_sync(true);
  }
  void lose_time(int64_t utc_minus_boot) {
    offset = utc_minus_boot;
    keeper_.on_time_sync(false);
  }
  void step(int64_t ms) { synchronise(offset + ms); }

  // All that can be sent, as an uplink that has just connected would get it.
  std::vector<Chunk> fetch() {
    std::vector<Chunk> all;
    for (int64_t after = item_id::kBeforeAll;; after = all.back().row) {
      const int answers = ears_.answers();
      store_.fetch(Lane::All, after, 1000);
      EXPECT_TRUE(ears_.wait_for_answers(answers + 1));
      std::vector<Chunk> chunks = ears_.chunks();
      if (chunks.empty()) return all;
      for (Chunk& chunk : chunks) all.push_back(std::move(chunk));
    }
  }
  Sent send() {
    Sent sent;
    for (const Chunk& chunk : fetch()) {
      for (const State& state : chunk.states) {
        const auto value = static_cast<int64_t>(std::get<double>(state.points.at(0).value));
        EXPECT_TRUE(sent.emplace(value, Stamp{state.time_ms, state.estimated}).second) << value;
      }
    }
    return sent;
  }

  // The status comes once a second.
  bool unstamped(int64_t readings) {
    return test::eventually([&] { return store_.status().unstamped == readings; }, 20s);
  }

  ClockKeeper& keeper() { return keeper_; }
  Store& store() { return store_; }
  Ears& ears() { return ears_; }

  int64_t now = kMinute;
  int64_t offset = 0;  // 1970, as without a battery

 private:
  std::string folder_;
  bool to_disk_;
  Ears ears_;
  Store store_;
  ClockKeeper keeper_;
};

// What a kill leaves; or, without stage 1, a power cut.
std::string image(const std::string& folder, const TempDir& into, bool with_run) {
  const auto all = std::filesystem::copy_options::recursive;
  Gateway::folders_in(into);
  std::filesystem::copy(folder + "/state", into / "state", all);
  if (with_run) std::filesystem::copy(folder + "/run", into / "run", all);
  return into.path();
}

// That what was sent has the stamps it had.
void expect_unchanged(const Sent& before, const Sent& after) {
  for (const auto& [value, stamp] : before) {
    ASSERT_TRUE(after.contains(value)) << value;
    EXPECT_EQ(after.at(value), stamp) << value;
  }
}

// Readings in stage 1, or on the disk.
class KeeperInStage : public ::testing::TestWithParam<bool> {
 protected:
  TempDir dir_;
  std::string folder_ = Gateway::folders_in(dir_);
};
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
