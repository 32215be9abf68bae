// SPDX-License-Identifier: Apache-2.0
#include "host/output_guard.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using Status = message::Outcome::Status;

constexpr uint32_t kPump = 0, kLeft = 1, kRight = 2, kBoth = 3;

// Three switches of one argument, and a command of two.
Declaration declaration() {
  const OptionSpec argument{.name = "value", .type = OptionType::Boolean};
  Declaration all;
  for (const char* name : {"pump", "left", "right", "both"}) {
    CommandSpec spec{.name = name, .args = {argument}};
    if (all.commands.size() == kBoth) spec.args.push_back(argument);
    all.commands.push_back({spec, 0, 0});
  }
  return all;
}

class Guard : public testing::Test {
 protected:
  // Its safe value is driven at the start unless it holds.
  void begin(std::vector<GuardRule> rules) {
    guard_ = OutputGuard(declaration(), rules, now_);
    while (auto action = guard_.due(now_)) {
      guard_.made(action->command, action->value, Status::Done, now_);
    }
  }
  std::string why_not(uint32_t command, bool on) const {
    return guard_.objection(command, Value(on), now_);
  }
  void set(uint32_t command, bool on, Status status = Status::Done) {
    ASSERT_EQ(why_not(command, on), "");
    guard_.made(command, Value(on), status, now_);
  }
  // What is driven now, which the device takes.
  std::string driven() {
    const auto action = guard_.due(now_);
    if (!action) return "";
    guard_.made(action->command, action->value, Status::Done, now_);
    return declaration().commands[action->command].spec.name + " " + to_text(action->value) + ": " +
           action->why;
  }

  BootTime now_{1h};
  OutputGuard guard_;
};

TEST_F(Guard, WithoutARuleEverythingMayBe) {
  begin({});
  set(kPump, true);
  EXPECT_FALSE(guard_.next());
  EXPECT_TRUE(guard_.at_stop().empty());
}

TEST_F(Guard, IsOfCommandsWithOneArgument) {
  begin({{.command = "both", .safe = Value(false)}, {.command = "no such", .safe = Value(false)}});
  EXPECT_FALSE(guard_.due(now_));
}

TEST_F(Guard, SafeIsDrivenAtTheStartAndAtTheStop) {
  guard_ = OutputGuard(declaration(), {{.command = "pump", .safe = Value(false)}}, now_);
  EXPECT_EQ(guard_.at_stop().size(), 1U) << "it may be on since before";
  EXPECT_EQ(driven(), "pump false: the plugin has started");
  EXPECT_EQ(driven(), "");
  EXPECT_TRUE(guard_.at_stop().empty()) << "it is safe already";
  set(kPump, true);
  ASSERT_EQ(guard_.at_stop().size(), 1U);
  EXPECT_EQ(guard_.at_stop()[0].value, Value(false));
}

TEST_F(Guard, WhatHoldsIsNotDriven) {
  begin({{.command = "pump", .safe = Value(false), .hold_at_stop = true}});
  set(kPump, true);
  EXPECT_FALSE(guard_.due(now_));
  EXPECT_TRUE(guard_.at_stop().empty());
}

TEST_F(Guard, SafeIsTriedUntilTheDeviceTakesIt) {
  guard_ = OutputGuard(declaration(), {{.command = "pump", .safe = Value(false)}}, now_);
  nanoseconds pause = 1s;
  for (int i = 0; i < 8; ++i) {
    const auto action = guard_.due(now_);
    ASSERT_TRUE(action);
    EXPECT_EQ(action->again, i > 0);
    guard_.made(action->command, action->value, i % 2 == 0 ? Status::Failed : Status::Uncertain,
                now_);
    EXPECT_FALSE(guard_.due(now_));
    EXPECT_EQ(guard_.next(), now_ + pause);
    now_ += pause;
    pause = std::min<nanoseconds>(pause * 2, 30s);
  }
  EXPECT_EQ(driven(), "pump false: the plugin has started");
  EXPECT_FALSE(guard_.next());
}

TEST_F(Guard, WhoeverSetsItMeanwhileEndsThat) {
  guard_ = OutputGuard(declaration(), {{.command = "pump", .safe = Value(false)}}, now_);
  guard_.made(kPump, Value(false), Status::Failed, now_);
  set(kPump, true);
  now_ += 1h;
  EXPECT_FALSE(guard_.due(now_));
}

TEST_F(Guard, SwitchingBackTooSoonIsRefused) {
  begin({{.command = "pump", .safe = Value(false), .min_on = 30s, .min_off = 3min}});
  EXPECT_EQ(why_not(kPump, true), "min_off: 'pump' has been off for 0 ms of 3 min 0 s")
      << "nobody knows for how long before the start";
  now_ += 3min;
  set(kPump, true);
  now_ += 29s;
  EXPECT_EQ(why_not(kPump, false), "min_on: 'pump' has been on for 29.0 s of 30.0 s");
  EXPECT_EQ(why_not(kPump, true), "") << "it is on";
  now_ += 1s;
  set(kPump, false);
  now_ += 1min;
  set(kPump, false);  // which does not begin anew
  now_ += 2min - 1ns;
  EXPECT_NE(why_not(kPump, true), "");
  now_ += 1ns;
  EXPECT_EQ(why_not(kPump, true), "");
}

TEST_F(Guard, SafeGoesBeforeTheLeastTimes) {
  begin({{.command = "pump", .safe = Value(false), .min_on = 1h, .max_on = 2h}});
  set(kPump, true);
  EXPECT_EQ(guard_.at_stop().size(), 1U);
}

TEST_F(Guard, OnForTooLongIsSwitchedOff) {
  begin({{.command = "pump", .safe = Value(false), .max_on = 10min}});
  now_ += 1h;
  EXPECT_EQ(driven(), "");
  set(kPump, true);
  now_ += 5min;
  set(kPump, true);  // which does not begin anew
  EXPECT_EQ(guard_.next(), now_ + 5min);
  now_ += 5min - 1ns;
  EXPECT_EQ(driven(), "");
  now_ += 1ns;
  EXPECT_EQ(driven(), "pump false: it has been on for 10 min 0 s");
  EXPECT_FALSE(guard_.next());
}

// As a configuration that was kept when its plugin changed may have it: the host must not spin.
TEST_F(Guard, ALimitOfTimeThatNothingCouldKeepIsNone) {
  begin({{.command = "pump", .hold_at_stop = true, .max_on = 10min},
         {.command = "left", .safe = Value(true), .max_on = 10min}});
  set(kPump, true);
  set(kLeft, true);
  EXPECT_FALSE(guard_.next());
  now_ += 1h;
  EXPECT_FALSE(guard_.next());
  EXPECT_EQ(driven(), "");
}

// Whether the device has taken a command nobody knows: for each rule the worse is taken for true.
TEST_F(Guard, WhatIsNotKnownCountsAsWhatIsWorse) {
  begin({{.command = "pump", .safe = Value(false), .min_off = 1min, .max_on = 10min}});
  now_ += 1min;
  set(kPump, true, Status::Uncertain);
  set(kPump, false, Status::Uncertain);  // nothing keeps it from being switched off at once
  EXPECT_NE(why_not(kPump, true), "") << "it may be off";
  now_ += 10min;
  EXPECT_EQ(driven(), "pump false: it has been on for 10 min 0 s") << "it may be on";
}

TEST_F(Guard, WhatThePluginRejectedHasChangedNothing) {
  begin({{.command = "pump", .safe = Value(false), .max_on = 10min, .max_rate = 1}});
  now_ += 1min;
  guard_.made(kPump, Value(true), Status::Rejected, now_);
  EXPECT_FALSE(guard_.next());
  set(kPump, true);
}

TEST_F(Guard, ChangesOfAMinuteAreCounted) {
  begin({{.command = "pump", .max_rate = 2}});
  set(kPump, true);
  set(kPump, true);  // no change
  now_ += 20s;
  set(kPump, false);
  EXPECT_EQ(why_not(kPump, true), "max_rate: 'pump' has changed 2 times in the last minute");
  now_ += 40s;
  set(kPump, true);
  EXPECT_NE(why_not(kPump, false), "");
}

TEST_F(Guard, OfAnInterlockOneIsOn) {
  begin({{.command = "left", .safe = Value(false), .interlock = "way"},
         {.command = "right", .safe = Value(false), .interlock = "way"},
         {.command = "pump", .safe = Value(false), .interlock = "other"}});
  set(kLeft, true);
  set(kPump, true);
  EXPECT_EQ(why_not(kRight, true), "interlock: 'left' is on; switch it off first");
  EXPECT_EQ(why_not(kRight, false), "");
  set(kLeft, false, Status::Failed);
  EXPECT_EQ(why_not(kRight, true), "interlock: 'left' may be on; switch it off first");
  set(kLeft, false);
  set(kRight, true);
  EXPECT_NE(why_not(kLeft, true), "");
}

// Until the safe value is driven nobody knows what an earlier process has left.
TEST_F(Guard, AnInterlockTrustsNothingAtTheStart) {
  guard_ = OutputGuard(declaration(),
                       {{.command = "left", .safe = Value(false), .interlock = "way"},
                        {.command = "right", .safe = Value(false), .interlock = "way"}},
                       now_);
  EXPECT_EQ(why_not(kLeft, true), "interlock: 'right' may be on; switch it off first");
  EXPECT_NE(driven(), "");
  EXPECT_NE(driven(), "");
  EXPECT_EQ(why_not(kLeft, true), "");
}

TEST_F(Guard, SafeIsDrivenOnceInEachSilence) {
  begin({{.command = "pump", .safe = Value(false), .uplink_silent = 5min}});
  set(kPump, true);
  guard_.on_heard(now_ + 1min);
  EXPECT_EQ(guard_.next(), now_ + 6min);
  guard_.on_heard(now_);  // older news
  now_ += 6min - 1ns;
  EXPECT_EQ(driven(), "");
  now_ += 1ns;
  EXPECT_EQ(driven(), "pump false: the uplink has been silent for 5 min 0 s");
  set(kPump, true);  // by somebody at the machine
  now_ += 1h;
  EXPECT_EQ(driven(), "");
  guard_.on_heard(now_);
  now_ += 5min;
  EXPECT_EQ(driven(), "pump false: the uplink has been silent for 5 min 0 s");
}

}  // namespace
}  // namespace fieldpost
