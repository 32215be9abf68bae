// SPDX-License-Identifier: Apache-2.0
#include "supervisor/health.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using State = Condition::State;

constexpr const char* kGateway = "aaaaaaaaaaaaaaaaaaaaaaaa";
constexpr const char* kMeter = "bbbbbbbbbbbbbbbbbbbbbbbb";

// A gateway that is looked at once a second, as the agent does.
class HealthTest : public testing::Test {
 protected:
  HealthTest() {
    config_.health.interval = 60s;
    add_device("gateway", kGateway);
    add_device("meter", kMeter);
    health_.configure(config_);
    facts_.clock = "synchronised";
  }
  void add_device(const std::string& name, const std::string& id) {
    config_.devices.push_back({name, id, {}});
    conditions_.push_back({State::Good, ""});
    PluginConfig plugin;
    plugin.section_device = {config_.devices.size() - 1};
    config_.plugins.push_back(plugin);
  }

  // `seconds` of them; what was reported, by device.
  std::map<std::string, std::vector<DeviceSample>> pass(int seconds) {
    std::map<std::string, std::vector<DeviceSample>> reported;
    for (int i = 0; i < seconds; ++i) {
      now_ += 1s;
      if (each_second_) each_second_();
      for (auto& sample : health_.report(facts_, conditions_, {online_, aside_}, now_)) {
        reported[*sample.device].push_back(std::move(sample));
      }
    }
    return reported;
  }
  static Value value(const DeviceSample& sample, const std::string& attribute) {
    for (const Point& p : sample.points) {
      if (*p.attribute == attribute) return p.value;
    }
    ADD_FAILURE() << attribute << " is not in it";
    return 0.0;
  }

  Config config_;
  SymbolTable symbols_;
  Health health_{symbols_};
  GatewayFacts facts_;
  std::vector<Condition> conditions_;
  bool online_ = true;
  std::set<std::string, std::less<>> aside_;
  BootTime now_{1h};
  std::function<void()> each_second_;
};

TEST_F(HealthTest, EachDeviceIsReportedOnceInAnInterval) {
  pass(10);
  const auto reported = pass(600);
  EXPECT_EQ(reported.at(kGateway).size(), 10u);
  EXPECT_EQ(reported.at(kMeter).size(), 10u);
  EXPECT_EQ(value(reported.at(kMeter)[0], "fp_online"), Value(true));
  EXPECT_EQ(value(reported.at(kMeter)[0], "fp_error"), Value(std::string()));
}

TEST_F(HealthTest, AGatewaysReportSaysWhatIsKnown) {
  facts_ = {.version = "1.2.3",
            .uptime = 90'500ms,
            .outbox_age = 7s,
            .outbox_bytes = 4096,
            .lost = 3,
            .disk_day = 8192,
            .clock = "estimated",
            .plugins_bad = 1};
  health_.note_error("plc: http://bob:hunter2@h: gone");
  const DeviceSample sample = pass(5).at(kGateway).at(0);
  EXPECT_EQ(sample.time.ms, 3'603'000) << "once it has settled";
  EXPECT_EQ(value(sample, "fp_version"), Value(std::string("1.2.3")));
  EXPECT_EQ(value(sample, "fp_uptime"), Value(90.0));
  EXPECT_EQ(value(sample, "fp_outbox_age"), Value(7.0));
  EXPECT_EQ(value(sample, "fp_outbox_bytes"), Value(4096.0));
  EXPECT_EQ(value(sample, "fp_lost"), Value(3.0));
  EXPECT_EQ(value(sample, "fp_disk_day"), Value(8192.0));
  EXPECT_EQ(value(sample, "fp_clock"), Value(std::string("estimated")));
  EXPECT_EQ(value(sample, "fp_plugins_bad"), Value(1.0));
  EXPECT_EQ(value(sample, "fp_last_error"), Value(std::string("plc: http://***@h: gone")));
  facts_.disk_day.reset();
  EXPECT_EQ(pass(70).at(kGateway).at(0).points.size(), 8u) << "left out rather than made up";
}

TEST_F(HealthTest, ADeadSensorIsToldAtOnceAndItsReturnToo) {
  pass(10);
  conditions_[1] = {State::Bad, "no answer"};
  const auto dead = pass(4);
  ASSERT_EQ(dead.at(kMeter).size(), 1u);
  EXPECT_EQ(value(dead.at(kMeter)[0], "fp_online"), Value(false));
  EXPECT_EQ(value(dead.at(kMeter)[0], "fp_error"), Value(std::string("no answer")));
  conditions_[1] = {State::Unknown, ""};  // it is being restarted
  EXPECT_FALSE(pass(10).contains(kMeter));
  conditions_[1] = {State::Good, ""};
  EXPECT_EQ(value(pass(4).at(kMeter).at(0), "fp_online"), Value(true));
}

TEST_F(HealthTest, WhatIsWrongWithADeviceIsTheGatewaysLastError) {
  pass(10);
  conditions_[0] = {State::Good, "cpu: no such file"};  // of the gateway nothing else is said
  const auto reported = pass(6);
  ASSERT_EQ(reported.at(kGateway).size(), 1u);
  EXPECT_EQ(value(reported.at(kGateway)[0], "fp_last_error"),
            Value(std::string("cpu: no such file")));
  conditions_[0] = {State::Good, ""};
  EXPECT_TRUE(pass(10).empty()) << "the last one stays";
  conditions_[1] = {State::Bad, "no answer"};
  EXPECT_EQ(value(pass(6).at(kGateway).at(0), "fp_last_error"), Value(std::string("no answer")));
}

TEST_F(HealthTest, OneGlitchIsNone) {
  pass(10);
  conditions_[1] = {State::Bad, "no answer"};
  EXPECT_TRUE(pass(2).empty());
  conditions_[1] = {State::Good, ""};
  EXPECT_TRUE(pass(10).empty());
}

TEST_F(HealthTest, ADeviceOfWhichNothingIsKnownIsNotReported) {
  conditions_[1] = {};
  EXPECT_FALSE(pass(600).contains(kMeter));
  health_.ask(now_);
  EXPECT_FALSE(pass(10).contains(kMeter));
}

TEST_F(HealthTest, ADeviceThatComesAndGoesIsReportedALittleMoreOften) {
  each_second_ = [this] {
    const bool good = now_.time_since_epoch() / 4s % 2 == 0;
    conditions_[1] = {good ? State::Good : State::Bad, good ? "" : "no answer"};
  };
  const size_t hour = pass(3600).at(kMeter).size();
  EXPECT_GE(hour, 60u);
  EXPECT_LE(hour, 60u + 60u + 5u + 1u);
}

// What is kept of an outage must be worth the space.
TEST_F(HealthTest, ThirtyDaysWithoutABrokerAreFewStates) {
  pass(10);
  online_ = false;
  each_second_ = [this] {
    const bool good = now_.time_since_epoch() / 10s % 2 == 0;
    conditions_[1] = {good ? State::Good : State::Bad, good ? "" : "no answer"};
  };
  const auto reported = pass(30 * 24 * 3600);
  EXPECT_EQ(reported.at(kGateway).size(), 1u) << "its last error, which stayed the same";
  EXPECT_LE(reported.at(kMeter).size(), 30u * 24u + 6u);
  EXPECT_GE(reported.at(kMeter).size(), 30u * 24u) << "but they are there";
}

// The broker does not let us publish for it, so what is said waits as in an outage.
TEST_F(HealthTest, OfADeviceThatIsSetAsideOnlyChangesAreKept) {
  pass(10);
  aside_ = {kMeter};
  const auto reported = pass(600);
  EXPECT_EQ(reported.at(kGateway).size(), 10u);
  EXPECT_FALSE(reported.contains(kMeter));
  conditions_[1] = {State::Bad, "no answer"};
  EXPECT_EQ(pass(6).at(kMeter).size(), 1u);
  aside_.clear();
  EXPECT_EQ(pass(60).at(kMeter).size(), 1u);
}

TEST_F(HealthTest, ATroubleIsTheLastErrorWhenItBegins) {
  health_.note_troubles({"uplink: gone", ""});
  EXPECT_EQ(health_.last_error(), "uplink: gone");
  health_.note_troubles({"outbox: full", "uplink: gone"});
  EXPECT_EQ(health_.last_error(), "outbox: full");
  health_.note_error("plc: no answer");
  health_.note_troubles({"uplink: gone"});
  EXPECT_EQ(health_.last_error(), "plc: no answer") << "one went, none came";
  health_.note_troubles({"outbox: full", "uplink: gone"});
  EXPECT_EQ(health_.last_error(), "outbox: full") << "again";
}

TEST_F(HealthTest, AReportIsDueWhenTheBrokerIsBack) {
  pass(10);
  online_ = false;
  pass(3600);
  online_ = true;
  const auto reported = pass(1);
  EXPECT_TRUE(reported.contains(kGateway));
  EXPECT_TRUE(reported.contains(kMeter));
}

TEST_F(HealthTest, WhoAsksGetsAllAtOnce) {
  pass(10);
  health_.ask(now_);
  const auto reported = pass(1);
  EXPECT_TRUE(reported.contains(kGateway));
  EXPECT_TRUE(reported.contains(kMeter));
  EXPECT_TRUE(pass(40).empty()) << "once";
}

// A bus with many devices that dies must not take the connection's budget for its obituaries.
TEST_F(HealthTest, ManyDevicesArePacedAndNoneIsForgotten) {
  for (int i = 2; i < 200; ++i) add_device("d" + std::to_string(i), "d" + std::to_string(i));
  health_.configure(config_);
  pass(600);
  for (size_t i = 1; i < conditions_.size(); ++i) conditions_[i] = {State::Bad, "no answer"};
  size_t most = 0;
  std::set<std::string> dead;
  for (int i = 0; i < 16; ++i) {  // of 15 s each
    size_t count = 0;
    for (const auto& [device, samples] : pass(15)) {
      count += samples.size();
      for (const auto& s : samples) {
        if (device != kGateway && value(s, "fp_online") == Value(false)) dead.insert(device);
      }
    }
    most = std::max(most, count);
  }
  EXPECT_LE(most, 15u * 2 + 10);
  EXPECT_EQ(dead.size(), 199u);
}

TEST_F(HealthTest, SwitchedOffItSaysNothing) {
  config_.health.enabled = false;
  health_.configure(config_);
  health_.ask(now_);
  EXPECT_TRUE(pass(600).empty());
}

TEST_F(HealthTest, AReloadDoesNotReportWhatIsTheSame) {
  pass(10);
  health_.configure(config_);
  EXPECT_TRUE(pass(10).empty());
}

}  // namespace
}  // namespace fieldpost
