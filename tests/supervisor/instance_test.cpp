// SPDX-License-Identifier: Apache-2.0
#include "supervisor/instance.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

class InstanceTest : public testing::Test {
 protected:
  InstanceTest() {
    devices_ = {{"gateway", "aaaaaaaaaaaaaaaaaaaaaaaa", {}},
                {"meter", "bbbbbbbbbbbbbbbbbbbbbbbb", {}}};
    config_.name = "meters";
    config_.unit_names = {"meter 1", "meter 2"};
    config_.instance.units = {1, 2};
    config_.section_device = {0, 0, 1};
    config_.declaration.attributes = {{{.name = "a"}, 0, 1},
                                      {{.name = "b", .type = DataType::Boolean}, 0, 1},
                                      {{.name = "a"}, 1, 2}};
    instance_.emplace(config_, devices_, symbols_);
  }

  static message::Samples sample(int64_t ms, std::vector<Reading> readings) {
    return {{Sample{BootTime(std::chrono::milliseconds(ms)), std::move(readings)}}};
  }

  SymbolTable symbols_;
  std::vector<DeviceConfig> devices_;
  PluginConfig config_;
  std::optional<Instance> instance_;
};

TEST_F(InstanceTest, ASampleOfTwoDevicesBecomesOneForEach) {
  const auto out = instance_->on_samples(sample(
      1000,
      {{0, Quality::Good, 1.5, ""}, {2, Quality::Good, 2.5, ""}, {1, Quality::Good, true, ""}}));
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(*out[0].device, devices_[0].id);
  EXPECT_EQ(out[0].time.ms, 1000);
  ASSERT_EQ(out[0].points.size(), 2u);
  EXPECT_EQ(*out[0].points[1].attribute, "b");
  EXPECT_EQ(*out[1].device, devices_[1].id);
  EXPECT_EQ(out[1].points[0].value, Value(2.5));
}

TEST_F(InstanceTest, AReadingThatIsNotGoodIsShownAndNotPublished) {
  const auto out = instance_->on_samples(
      sample(1000, {{0, Quality::CommError, 0.0, "exception 2"}, {1, Quality::Good, true, ""}}));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].points.size(), 1u);
  EXPECT_EQ(instance_->attributes()[0].latest.detail, "exception 2");
  EXPECT_EQ(instance_->attributes()[0].good_time, BootTime{});
  EXPECT_EQ(instance_->counts().bad, 1);
}

TEST_F(InstanceTest, UndeclaredAttributesAndOtherTypesAreRefused) {
  const auto out = instance_->on_samples(
      sample(1000, {{9, Quality::Good, 1.0, ""}, {0, Quality::Good, true, ""}}));
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(instance_->counts().refused, 2);
}

// Losant keeps the later of two values with one stamp: neither may be lost.
TEST_F(InstanceTest, TwoPointsOfAnAttributeNeverShareAMillisecond) {
  std::vector<int64_t> stamps;
  for (const int64_t ms : {1000, 1000, 1000, 1001, 1010}) {
    for (const auto& d : instance_->on_samples(sample(ms, {{0, Quality::Good, 1.0, ""}}))) {
      stamps.push_back(d.time.ms);
    }
  }
  EXPECT_EQ(stamps, (std::vector<int64_t>{1000, 1001, 1002, 1003, 1010}));
}

// A burst may run ahead, for a moment; a flood must not carry what follows into the future.
TEST_F(InstanceTest, StampsStayNearTheClock) {
  constexpr int64_t kNow = 1'000'000;
  const BootTime now(std::chrono::milliseconds{kNow});
  int64_t newest = 0;
  size_t kept = 0;
  for (int i = 0; i < 10'000; ++i) {
    for (const auto& d : instance_->on_samples(sample(kNow, {{0, Quality::Good, 1.0, ""}}), now)) {
      newest = std::max(newest, d.time.ms);
      ++kept;
    }
  }
  EXPECT_GE(kept, 1'000u);
  EXPECT_LE(newest, kNow + 3'000);
  EXPECT_EQ(instance_->counts().refused, 10'000 - static_cast<int64_t>(kept));
  const auto later =
      instance_->on_samples(sample(kNow + 10'000, {{0, Quality::Good, 1.0, ""}}), now + 10s);
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].time.ms, kNow + 10'000);
}

// The device may be another instance's too: under its names nothing may come, and no command go.
TEST_F(InstanceTest, ItsHostMayDeclareNothingElseThanWhenTheConfigurationWasRead) {
  EXPECT_TRUE(instance_->vet(config_.declaration));
  Declaration other = config_.declaration;
  other.attributes[0].spec.name = "of another instance";
  const std::string words = instance_->vet(other).error().message;
  EXPECT_NE(words.find("`fieldpost reload`"), std::string::npos) << words;
  other = config_.declaration;
  other.commands = {{{.name = "start"}, 0, 1}};
  config_.socket = "/run/unit.sock";
  EXPECT_EQ(
      instance_->vet(other).error().message,
      "other things than the agent's own copy of the plugin: is its unit of another version?");
}

TEST_F(InstanceTest, RebindingMovesReadingsToTheDevicesNewPlace) {
  PluginConfig other = config_;
  other.section_device = {0, 0, 2};
  devices_.insert(devices_.begin() + 1, {"new", "cccccccccccccccccccccccc", {}});
  instance_->rebind(other, devices_);
  const auto out = instance_->on_samples(sample(5, {{2, Quality::Good, 1.0, ""}}));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(*out[0].device, "bbbbbbbbbbbbbbbbbbbbbbbb");
}

TEST_F(InstanceTest, RebindingKeepsTheReadingsOfEachUnit) {
  (void)instance_->on_samples(
      sample(1000, {{0, Quality::Good, 1.0, ""}, {2, Quality::CommError, 0.0, "no answer"}}));
  instance_->rebind(config_, devices_);
  EXPECT_EQ(instance_->attributes()[0].latest.value, Value(1.0));
  EXPECT_EQ(instance_->attributes()[2].latest.quality, Quality::CommError);
  EXPECT_EQ(instance_->attributes()[2].good_time, BootTime{});
}

class StaleTest : public InstanceTest {
 protected:
  StaleTest() {
    config_.instance.interval = 2s;
    config_.instance.deadline = 1s;
    config_.instance.reports.resize(3);
    instance_.emplace(config_, devices_, symbols_);
    instance_->on_unit_state({0, true, ""}, BootTime(1s));
  }
  void polled() { instance_->on_held({BootTime(0s), {}, {0}}); }
  void read(int64_t ms, double value = 1) {
    (void)instance_->on_samples(sample(ms, {{0, Quality::Good, value, ""}}));
  }
  Instance::Verdict at(BootTime now) const {
    return instance_->verdict(instance_->attributes()[0], now);
  }
};

TEST_F(StaleTest, WhatComesWithPollsIsStaleWhenThreeBroughtNothingGood) {
  polled();
  read(10'000);
  EXPECT_EQ(at(BootTime(16s)).quality, Quality::Good);
  EXPECT_EQ(at(BootTime(17s)).quality, Quality::Stale);
  EXPECT_EQ(at(BootTime(17s)).detail, "no good reading for 7s");
  instance_->on_host_down(BootTime(20s));  // nor does it matter why
  EXPECT_EQ(at(BootTime(3610s)).detail, "no good reading for 1h");
  read(3'611'000);
  EXPECT_EQ(at(BootTime(3612s)).quality, Quality::Good);
  EXPECT_EQ(at(BootTime(3620s)).quality, Quality::Stale);  // the outage was not its pace
}

TEST_F(StaleTest, AUnitWaitsForItsNeighboursUpToTheDeadline) {
  ASSERT_GT(instance_->units().size(), 1u);
  config_.instance.deadline = 10s;
  polled();
  read(10'000);
  EXPECT_EQ(at(BootTime(20s)).quality, Quality::Good);
  EXPECT_EQ(at(BootTime(21s)).quality, Quality::Stale);
}

TEST_F(StaleTest, WhatNoLongerComesWithPollsIsNotMissed) {
  polled();
  read(10'000);
  instance_->on_held({BootTime(0s), {}, {}, {0}});
  EXPECT_EQ(at(BootTime(1h)).quality, Quality::Good);
}

TEST_F(StaleTest, WhatTheHostHoldsBackWasReadAllTheSame) {
  polled();
  read(10'000);
  instance_->on_held({BootTime(15s), {0}, {}});
  EXPECT_EQ(instance_->attributes()[0].good_time, BootTime(15s));
  EXPECT_EQ(instance_->attributes()[0].latest_time, BootTime(15s));
  EXPECT_EQ(at(BootTime(20s)).quality, Quality::Good);
  EXPECT_EQ(instance_->counts().held, 1);
}

TEST_F(StaleTest, ABusThatIsSlowerThanItsIntervalIsNotStale) {
  polled();
  for (const int64_t ms : {10'000, 20'000, 30'000}) read(ms);
  EXPECT_EQ(at(BootTime(59s)).quality, Quality::Good);
  EXPECT_EQ(at(BootTime(61s)).quality, Quality::Stale);
}

TEST_F(StaleTest, WhatComesFromEventsStandsAsLongAsSomebodyWatches) {
  read(10'000);
  EXPECT_EQ(at(BootTime(10h)).quality, Quality::Good);
  instance_->on_unit_state({0, false, "no chip"}, BootTime(11h));
  EXPECT_EQ(at(BootTime(11h + 6s)).quality, Quality::Good);
  EXPECT_EQ(at(BootTime(11h + 7s)).detail, "nobody watches it for 7s");
  instance_->on_unit_state({0, true, ""}, BootTime(12h));
  instance_->on_host_down(BootTime(12h));
  instance_->on_host_down(BootTime(13h));
  EXPECT_EQ(at(BootTime(14h)).detail, "nobody watches it for 2h");
  instance_->on_host_up();
  EXPECT_EQ(at(BootTime(14h)).quality, Quality::Good);
}

TEST_F(StaleTest, AnEventThatShouldHaveComeIsMissedWithoutAReading) {
  config_.instance.reports[1].expect_change = 1min;
  instance_.emplace(config_, devices_, symbols_);
  read(10'000);
  read(40'000);  // the same
  EXPECT_EQ(at(BootTime(69s)).quality, Quality::Good);
  EXPECT_EQ(at(BootTime(70s)).quality, Quality::Stuck);
  EXPECT_EQ(at(BootTime(70s)).detail, "the same for 1min or longer");
  read(80'000, 2);
  EXPECT_EQ(at(BootTime(81s)).quality, Quality::Good);
}

TEST_F(StaleTest, OfZeroNeverIs) {
  config_.instance.reports[1].stale_after = 0;
  instance_.emplace(config_, devices_, symbols_);
  polled();
  read(10'000);
  EXPECT_EQ(at(BootTime(100h)).quality, Quality::Good);
}

TEST_F(InstanceTest, UnitStatesAreKeptWithTheirSince) {
  instance_->on_unit_state({1, false, "no answer"}, BootTime(1s));
  instance_->on_unit_state({1, false, "still none"}, BootTime(5s));
  EXPECT_EQ(instance_->units()[1].since, BootTime(1s));
  EXPECT_EQ(instance_->units()[1].reason, "still none");
  instance_->on_unit_state({7, true, ""}, BootTime(6s));  // no such unit: ignored
  instance_->on_host_down(BootTime(6s));
  EXPECT_FALSE(instance_->units()[1].known);
}

}  // namespace
}  // namespace fieldpost
