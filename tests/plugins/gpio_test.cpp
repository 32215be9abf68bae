// SPDX-License-Identifier: Apache-2.0
//
// The gpio plugin as its host sees it. Linked with a fake of the lines (gpio_test) and, to be run
// in a machine whose kernel has gpio-sim, with libgpiod itself (gpio_sim_test, see
// gpio_rig_sim.cpp).
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <memory>

#include "edges.hpp"
#include "fakes/fake_host.hpp"
#include "gpio_rig.hpp"

namespace {

using fieldpost::fakes::FakeHost;
using fieldpost::fakes::Row;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

int64_t boottime_now() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return t.tv_sec * int64_t{1'000'000'000} + t.tv_nsec;
}

class GpioTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = gpio_rig::unavailable(); !why.empty()) GTEST_SKIP() << why;
    gpio_rig::reset();
  }

  void start(Row::Tables rows) {
    host_ = std::make_unique<FakeHost>(Row::Values{{"chip", gpio_rig::chip()}}, std::move(rows));
    ASSERT_EQ(host_->open(), FP_OK) << host_->trouble();
  }

  // Serves the plugin's descriptor, as the host's loop does, until `done` or the deadline.
  template <class Done>
  bool serve(Done done, milliseconds limit = seconds(10)) {
    const auto deadline = Clock::now() + limit;
    while (!done()) {
      const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) return false;
      pollfd fd{host_->event_fd(), POLLIN, 0};
      if (::poll(&fd, 1, static_cast<int>(left)) > 0) {
        EXPECT_EQ(host_->on_event(), FP_OK) << host_->trouble();
      }
    }
    return true;
  }

  // All levels that were reported of an attribute, oldest first.
  std::vector<bool> levels(const std::string& attribute) const {
    std::vector<bool> all;
    for (const auto& sample : host_->samples) {
      for (const auto& r : sample.readings) {
        if (r.attribute == attribute && r.quality == FP_GOOD) {
          all.push_back(std::get<bool>(r.value));
        }
      }
    }
    return all;
  }

  void TearDown() override {
    if (host_ != nullptr) {
      EXPECT_TRUE(host_->refusals.empty()) << host_->trouble();
    }
    host_.reset();
    if (gpio_rig::unavailable().empty()) gpio_rig::vacate();
  }

  std::unique_ptr<FakeHost> host_;
};

using Levels = std::vector<bool>;

TEST_F(GpioTest, PollReadsLinesByNameAndByOffset) {
  gpio_rig::pull(gpio_rig::kDoor, true);
  start({{"input",
          {Row{{"attribute", "door"}, {"line", "door"}}, Row{{"attribute", "spare"}, {"offset", 5}},
           Row{{"attribute", "pump_off"}, {"line", "pump"}, {"active_low", true}}}}});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->boolean("door"), true);
  EXPECT_EQ(host_->boolean("spare"), false);
  EXPECT_EQ(host_->boolean("pump_off"), true);
  gpio_rig::pull(gpio_rig::kDoor, false);
  gpio_rig::pull(gpio_rig::kPump, true);
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->boolean("door"), false);
  EXPECT_EQ(host_->boolean("pump_off"), false);
}

TEST_F(GpioTest, EdgesAreReportedInOrderWithTheTimeTheyHappened) {
  start({{"input", {Row{{"attribute", "door"}, {"line", "door"}, {"edge", "both"}}}}});
  host_->samples.clear();
  const int64_t before = boottime_now();
  gpio_rig::pull(gpio_rig::kDoor, true);
  const int64_t after = boottime_now();
  gpio_rig::pull(gpio_rig::kDoor, false);
  gpio_rig::pull(gpio_rig::kDoor, true);
  ASSERT_TRUE(serve([&] { return host_->samples.size() >= 3; }));
  EXPECT_EQ(levels("door"), (Levels{true, false, true}));
  EXPECT_GE(host_->samples[0].boottime_ns, before - gpio::Clocks::kAccuracy);
  EXPECT_LE(host_->samples[0].boottime_ns, after + gpio::Clocks::kAccuracy);
  EXPECT_LE(host_->samples[0].boottime_ns, host_->samples[1].boottime_ns);
  EXPECT_LE(host_->samples[1].boottime_ns, host_->samples[2].boottime_ns);
}

TEST_F(GpioTest, EdgesOfAnActiveLowLineAreLogical) {
  start({{"input",
          {Row{{"attribute", "door"}, {"line", "door"}, {"edge", "both"}, {"active_low", true}}}}});
  host_->samples.clear();
  gpio_rig::pull(gpio_rig::kDoor, true);
  gpio_rig::pull(gpio_rig::kDoor, false);
  ASSERT_TRUE(serve([&] { return host_->samples.size() >= 2; }));
  EXPECT_EQ(levels("door"), (Levels{false, true}));
}

TEST_F(GpioTest, OnlyTheEdgesAskedForAreReported) {
  start({{"input",
          {Row{{"attribute", "up"}, {"line", "door"}, {"edge", "rising"}},
           Row{{"attribute", "down"}, {"line", "pump"}, {"edge", "falling"}}}}});
  host_->samples.clear();
  for (const unsigned line : {gpio_rig::kDoor, gpio_rig::kPump}) {
    gpio_rig::pull(line, true);
    gpio_rig::pull(line, false);
    gpio_rig::pull(line, true);
  }
  ASSERT_TRUE(serve([&] { return host_->samples.size() >= 3; }));
  EXPECT_EQ(levels("up"), (Levels{true, true}));
  EXPECT_EQ(levels("down"), (Levels{false}));
}

TEST_F(GpioTest, ABounceIsNotReportedAndTheChangeHasTheTimeOfItsEdge) {
  start(
      {{"input",
        {Row{{"attribute", "door"}, {"line", "door"}, {"edge", "both"}, {"debounce", "300ms"}}}}});
  host_->samples.clear();
  for (int i = 0; i < 5; ++i) {
    gpio_rig::pull(gpio_rig::kDoor, true);
    gpio_rig::pull(gpio_rig::kDoor, false);
  }
  gpio_rig::pull(gpio_rig::kDoor, true);
  const int64_t stood = boottime_now();
  // A reading taken while it bounces would be newer than the edge, and wrong.
  EXPECT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_TRUE(host_->samples.empty());
  ASSERT_TRUE(serve([&] { return !host_->samples.empty(); }));
  EXPECT_EQ(levels("door"), (Levels{true}));
  EXPECT_LE(host_->samples[0].boottime_ns, stood + gpio::Clocks::kAccuracy);
  EXPECT_GE(boottime_now() - stood, 290'000'000);
}

TEST_F(GpioTest, ADebouncedPressIsReportedEachTime) {
  start(
      {{"input",
        {Row{{"attribute", "key"}, {"line", "door"}, {"edge", "rising"}, {"debounce", "20ms"}}}}});
  host_->samples.clear();
  gpio_rig::pull(gpio_rig::kDoor, true);
  ASSERT_TRUE(serve([&] { return host_->samples.size() == 1; }));
  gpio_rig::pull(gpio_rig::kDoor, false);
  const int64_t released = boottime_now();  // which must stand its time, too, but is not reported
  while (boottime_now() - released < 25'000'000) (void)serve([] { return false; }, milliseconds(5));
  gpio_rig::pull(gpio_rig::kDoor, true);
  EXPECT_TRUE(serve([&] { return host_->samples.size() == 2; }, seconds(2)));
  EXPECT_EQ(levels("key"), (Levels{true, true}));
}

TEST_F(GpioTest, ACommandSetsTheLineAndAnswersWithItsLevel) {
  start({{"output", {Row{{"attribute", "relay"}, {"line", "relay"}, {"command", "set-relay"}}}}});
  auto outcome = host_->command("set-relay", {{"value", true}});
  EXPECT_EQ(outcome.status, FP_OK) << outcome.error;
  EXPECT_EQ(outcome.readback, fieldpost::Value(true));
  EXPECT_TRUE(gpio_rig::voltage(gpio_rig::kRelay));
  EXPECT_EQ(host_->boolean("relay"), true);
  outcome = host_->command("set-relay", {{"value", false}});
  EXPECT_EQ(outcome.readback, fieldpost::Value(false));
  EXPECT_FALSE(gpio_rig::voltage(gpio_rig::kRelay));
  ASSERT_EQ(host_->poll(), FP_OK);
  EXPECT_EQ(host_->boolean("relay"), false);
}

TEST_F(GpioTest, AnActiveLowOutputStartsAtTheLevelItWasGiven) {
  start({{"output",
          {Row{{"attribute", "relay"},
               {"line", "relay"},
               {"command", "a"},
               {"active_low", true},
               {"initial", "off"}},
           Row{{"attribute", "valve"}, {"line", "valve"}, {"command", "b"}, {"initial", "on"}}}}});
  EXPECT_TRUE(gpio_rig::voltage(gpio_rig::kRelay));
  EXPECT_TRUE(gpio_rig::voltage(gpio_rig::kValve));
  EXPECT_EQ(host_->boolean("relay"), false);
  EXPECT_EQ(host_->boolean("valve"), true);
}

TEST_F(GpioTest, ABusyLineSaysByWhomAndTakesNoOtherDown) {
  const std::string holder = gpio_rig::occupy(gpio_rig::kPump);
  start({{"input",
          {Row{{"attribute", "pump"}, {"line", "pump"}},
           Row{{"attribute", "door"}, {"line", "door"}}}},
         {"output", {Row{{"attribute", "relay"}, {"line", "relay"}, {"command", "set"}}}}});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  const auto pump = host_->latest("pump");
  ASSERT_TRUE(pump);
  EXPECT_EQ(pump->quality, FP_COMM_ERROR);
  EXPECT_NE(pump->detail.find("in use by \"" + holder + "\""), std::string::npos) << pump->detail;
  EXPECT_EQ(host_->boolean("door"), false);
  EXPECT_EQ(host_->command("set", {{"value", true}}).status, FP_OK);
  gpio_rig::vacate();  // and is taken when it becomes free, without a poll
  EXPECT_TRUE(serve([&] { return host_->boolean("pump") == false; }));
}

TEST_F(GpioTest, ALineThatIsNotThereIsNamedWithThoseThatAre) {
  start({{"input",
          {Row{{"attribute", "a"}, {"line", "dor"}}, Row{{"attribute", "b"}, {"offset", 99}}}}});
  for (const char* attribute : {"a", "b"}) {
    ASSERT_TRUE(host_->latest(attribute)) << "without a poll";
    EXPECT_EQ(host_->latest(attribute)->quality, FP_COMM_ERROR);
  }
  EXPECT_EQ(host_->poll(), FP_E_IO);
  EXPECT_NE(host_->error.find("no line \"dor\""), std::string::npos) << host_->error;
  EXPECT_NE(host_->error.find("\"door\""), std::string::npos) << host_->error;
  EXPECT_NE(host_->trouble().find("no line 99"), std::string::npos) << host_->trouble();
}

TEST_F(GpioTest, AChipThatIsNotThereIsAnIoErrorThatListsThoseThatAre) {
  host_ = std::make_unique<FakeHost>(
      Row::Values{{"chip", std::string("plnt")}},
      Row::Tables{{"input", {Row{{"attribute", "a"}, {"line", "door"}}}}});
  ASSERT_EQ(host_->open(), FP_OK);
  // Without a poll too: of what lives from edges that is all that is ever heard.
  ASSERT_TRUE(host_->latest("a"));
  EXPECT_EQ(host_->latest("a")->quality, FP_COMM_ERROR);
  EXPECT_NE(host_->latest("a")->detail.find("no GPIO chip"), std::string::npos);
  EXPECT_EQ(host_->poll(), FP_E_IO);
  EXPECT_NE(host_->error.find("no GPIO chip \"plnt\""), std::string::npos) << host_->error;
  EXPECT_NE(host_->error.find(gpio_rig::chip()), std::string::npos) << host_->error;
}

TEST_F(GpioTest, AnUnpluggedChipIsNoticedInFiveSecondsAndComesBackByItself) {
  start(
      {{"input",
        {Row{{"attribute", "door"}, {"line", "door"}, {"edge", "both"}},
         Row{{"attribute", "pump"}, {"line", "pump"}}}},
       {"output",
        {Row{{"attribute", "relay"}, {"line", "relay"}, {"command", "set"}, {"initial", "off"}}}}});
  ASSERT_EQ(host_->poll(), FP_OK);
  gpio_rig::unplug();
  const auto lost = [&](const char* attribute) {
    return host_->latest(attribute)->quality == FP_COMM_ERROR;
  };
  // By events alone: the host may be waiting for a distant poll.
  ASSERT_TRUE(serve([&] { return lost("door") && lost("pump") && lost("relay"); }, seconds(5)));
  EXPECT_NE(host_->latest("door")->detail.find("vanished"), std::string::npos);
  EXPECT_EQ(host_->poll(), FP_E_IO);
  EXPECT_EQ(host_->command("set", {{"value", true}}).status, FP_E_IO);

  gpio_rig::plug();
  gpio_rig::pull(gpio_rig::kPump, true);
  ASSERT_TRUE(serve([&] { return host_->boolean("relay").has_value(); }, seconds(5)));
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->boolean("pump"), true);
  EXPECT_EQ(host_->boolean("relay"), false);
  gpio_rig::pull(gpio_rig::kDoor, true);
  EXPECT_TRUE(serve([&] { return host_->boolean("door") == true; }));
  EXPECT_EQ(host_->command("set", {{"value", true}}).status, FP_OK);
}

TEST_F(GpioTest, ClosingLetsTheLinesGo) {
  start({{"input", {Row{{"attribute", "door"}, {"line", "door"}, {"edge", "both"}}}}});
  host_->close();
  start({{"input", {Row{{"attribute", "door"}, {"line", "door"}}}}});
  EXPECT_EQ(host_->poll(), FP_OK) << host_->trouble();
}

}  // namespace
