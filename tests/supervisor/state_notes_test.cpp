// SPDX-License-Identifier: Apache-2.0
#include "supervisor/state_notes.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "model/state_meta.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

// An instance with two attributes of a meter and one of a pump.
class StateNotesTest : public testing::Test {
 protected:
  using Meta = std::map<std::string, Value>;

  StateNotesTest() {
    devices_ = {{"meter", "aaaaaaaaaaaaaaaaaaaaaaaa", {}},
                {"pump", "bbbbbbbbbbbbbbbbbbbbbbbb", {}}};
    config_.name = "plant";
    config_.unit_names = {"meter", "pump"};
    config_.instance.units = {1, 2};
    config_.section_device = {0, 0, 1};
    config_.declaration.attributes = {
        {{.name = "volt"}, 0, 1}, {{.name = "watt"}, 0, 1}, {{.name = "speed"}, 1, 2}};
    instance_.emplace(config_, devices_, symbols_);
  }

  // What goes with the readings, by the first character of the device's id.
  std::map<char, Meta> take(int64_t ms, std::vector<Reading> readings) {
    auto samples = instance_->on_samples(
        {{Sample{BootTime(std::chrono::milliseconds(ms)), std::move(readings)}}});
    notes_.add_to(samples, *instance_);
    std::map<char, Meta> metas;
    for (const DeviceSample& sample : samples) {
      Meta& meta = metas[sample.device->front()];
      for (const Point& point : sample.points) {
        if (!state_meta::is_meta(point.attribute)) continue;
        meta[point.attribute->substr(1)] = point.value;
      }
    }
    return metas;
  }

  static Reading good(uint32_t attribute) { return {attribute, Quality::Good, 1.0, ""}; }
  static Reading bad(uint32_t attribute) {
    return {attribute, Quality::CommError, 0.0, "no answer"};
  }

  SymbolTable symbols_;
  std::vector<DeviceConfig> devices_;
  PluginConfig config_;
  std::optional<Instance> instance_;
  StateNotes notes_{symbols_};
};

TEST_F(StateNotesTest, StatesOfADeviceAreNumbered) {
  EXPECT_EQ(take(1000, {good(0), good(2)})['a'], (Meta{{"sequence", 1.0}}));
  EXPECT_EQ(take(2000, {good(0)})['a'], (Meta{{"sequence", 2.0}}));
  const auto both = take(3000, {good(1), good(2)});
  EXPECT_EQ(both.at('a'), (Meta{{"sequence", 3.0}}));
  EXPECT_EQ(both.at('b'), (Meta{{"sequence", 2.0}}));
}

TEST_F(StateNotesTest, SamplesOfOneMillisecondShareANumber) {
  EXPECT_EQ(take(1000, {good(0)})['a'], (Meta{{"sequence", 1.0}}));
  EXPECT_EQ(take(1000, {good(1)})['a'], (Meta{{"sequence", 1.0}}));
  EXPECT_EQ(take(1001, {good(1)})['a'], (Meta{{"sequence", 2.0}}));
}

TEST_F(StateNotesTest, WhatHasNoGoodValueIsNamedUntilItHas) {
  EXPECT_EQ(take(1000, {good(0), bad(1), good(2)})['a'],
            (Meta{{"sequence", 1.0}, {"quality:watt", std::string("comm-error")}}));
  EXPECT_EQ(take(2000, {good(0), good(1)})['a'], (Meta{{"sequence", 2.0}}));
  take(3000, {good(0), bad(1)});
  const auto later = take(9500, {good(0), good(2)});
  EXPECT_EQ(later.at('a'), (Meta{{"sequence", 4.0},
                                 {"quality:watt", std::string("comm-error")},
                                 {"good_age:watt", 7500.0}}));
  EXPECT_EQ(later.at('b'), (Meta{{"sequence", 2.0}})) << "the meter's trouble is the meter's";
}

TEST_F(StateNotesTest, ARemarkGoesWithWhatIsGoodUntilItIsTakenBackOrTheHostEnds) {
  const Value remark = std::string("lower bound");
  instance_->on_remark({1, "lower bound"});
  EXPECT_EQ(take(1000, {good(0)})['a'], (Meta{{"sequence", 1.0}})) << "of what was not read yet";
  EXPECT_EQ(take(2000, {good(1)})['a'], (Meta{{"sequence", 2.0}, {"remark:watt", remark}}));
  EXPECT_EQ(take(3000, {good(0)})['a'], (Meta{{"sequence", 3.0}, {"remark:watt", remark}}));
  EXPECT_EQ(take(4000, {good(0), bad(1)})['a'].count("remark:watt"), 0U) << "the quality says more";
  instance_->on_remark({1, ""});
  EXPECT_EQ(take(5000, {good(1)})['a'], (Meta{{"sequence", 5.0}}));
  instance_->on_remark({1, "lower bound"});
  instance_->on_host_down(BootTime(5500ms));
  EXPECT_EQ(take(6000, {good(1)})['a'], (Meta{{"sequence", 6.0}})) << "the next host's to say";
}

TEST_F(StateNotesTest, ASampleIsNotToldOfWhatCameLater) {
  const auto at = [](int64_t ms) { return BootTime(std::chrono::milliseconds(ms)); };
  auto samples = instance_->on_samples(
      {{Sample{at(1000), {good(0), good(1)}}, Sample{at(2000), {good(0), bad(1)}}}});
  notes_.add_to(samples, *instance_);
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].points.size(), 3U) << "two readings and their number";
  EXPECT_EQ(samples[1].points.size(), 4U) << "one reading, its number, quality and age";
}

// A reading that does not come takes no state with it: the agent's own report does.
TEST_F(StateNotesTest, AReportOfTheAgentsOwnHasTheQualitiesOfItsDevice) {
  (void)take(1000, {good(0), good(2)});
  instance_->on_held({BootTime(1s), {}, {0, 2}});
  std::vector<DeviceSample> samples{
      {.device = instance_->devices()[0].id, .time = {9000, CaptureTime::Base::ThisBoot}}};
  const Instance* const all[] = {&*instance_};
  notes_.add_to(samples, all);
  std::map<std::string, Value> meta;
  for (const Point& point : samples[0].points) meta[point.attribute->substr(1)] = point.value;
  EXPECT_EQ(
      meta,
      (Meta{{"sequence", 2.0}, {"quality:volt", std::string("stale")}, {"good_age:volt", 8000.0}}));
}

}  // namespace
}  // namespace fieldpost
