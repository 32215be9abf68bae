// SPDX-License-Identifier: Apache-2.0
#include "supervisor/custom_copies.hpp"

#include <gtest/gtest.h>

#include <string>

#include "model/state_meta.hpp"

namespace fieldpost {
namespace {

constexpr const char* kGateway = "575ecf887ae143cd83dc4aa2";
constexpr const char* kBoiler = "575ecf887ae143cd83dc4aa3";

class CustomCopiesTest : public ::testing::Test {
 protected:
  void configure(std::vector<PublishConfig> entries) {
    Config config;
    config.devices = {{"gateway", kGateway, {}, {}}, {"boiler", kBoiler, {}, {}}};
    config.publishes = std::move(entries);
    copies_.configure(config);
  }
  DeviceSample sample(const std::string& device, const std::vector<std::string>& attributes,
                      int64_t ms = 7) {
    DeviceSample sample{.device = symbols_.intern(device), .time = {.ms = ms}, .points = {}};
    for (const std::string& name : attributes)
      sample.points.push_back({symbols_.intern(name), 1.0});
    return sample;
  }
  // "device ms: attribute attribute", of what is added.
  std::vector<std::string> added(std::vector<DeviceSample> samples) {
    const size_t before = samples.size();
    copies_.add_to(samples);
    std::vector<std::string> lines;
    for (size_t i = before; i < samples.size(); ++i) {
      std::string line = *samples[i].device + " " + std::to_string(samples[i].time.ms) + ":";
      for (const Point& p : samples[i].points) line += " " + *p.attribute;
      lines.push_back(std::move(line));
    }
    return lines;
  }

  SymbolTable symbols_;
  CustomCopies copies_{symbols_};
};

using Lines = std::vector<std::string>;

TEST_F(CustomCopiesTest, EachEntryThatMeansAReadingGetsACopy) {
  configure({{.name = "all", .topic = "a/${device}"},
             {.name = "some", .topic = "b", .device = "boiler", .attributes = {"t", "x"}},
             {.name = "each", .topic = "c/${attribute}", .device = "gateway"}});
  EXPECT_EQ(
      added({sample(kBoiler, {"t", "u"}), sample(kGateway, {"t", "u"}, 8)}),
      (Lines{"publish:all:boiler 7: t u", "publish:some:boiler 7: t", "publish:all:gateway 8: t u",
             "publish:each:gateway:t 8: t", "publish:each:gateway:u 8: u"}));
}

TEST_F(CustomCopiesTest, TwoSamplesOfOneDeviceStayTwo) {
  configure({{.name = "p", .topic = "a"}});
  EXPECT_EQ(added({sample(kBoiler, {"t"}, 1), sample(kBoiler, {"t"}, 2)}),
            (Lines{"publish:p:boiler 1: t", "publish:p:boiler 2: t"}));
}

TEST_F(CustomCopiesTest, WhatTheAgentSaysOfItselfAndWhatNobodyAsksForHasNone) {
  configure({{.name = "p", .topic = "a", .device = "boiler"}});
  EXPECT_EQ(
      added({sample(kBoiler, {"fp_online"}), sample(kGateway, {"t"}), sample("another", {"t"})}),
      Lines{});
  configure({});
  EXPECT_EQ(added({sample(kBoiler, {"t"})}), Lines{});
}

TEST_F(CustomCopiesTest, WhatIsInTheMetaOfAStateStaysThere) {
  configure({{.name = "p", .topic = "a"}});
  EXPECT_EQ(added({sample(kBoiler, {"t", std::string(state_meta::kSequence)})}),
            Lines{"publish:p:boiler 7: t"});
}

TEST_F(CustomCopiesTest, AnotherConfigurationCountsAtOnce) {
  configure({{.name = "p", .topic = "a"}});
  EXPECT_EQ(added({sample(kBoiler, {"t"})}), Lines{"publish:p:boiler 7: t"});
  configure({{.name = "q", .topic = "a/${attribute}"}});
  EXPECT_EQ(added({sample(kBoiler, {"t"})}), Lines{"publish:q:boiler:t 7: t"});
}

}  // namespace
}  // namespace fieldpost
