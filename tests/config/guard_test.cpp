// SPDX-License-Identifier: Apache-2.0
//
// What [[plugin.guard]] may say, and what is found out before anything is driven.
#include <gtest/gtest.h>

#include <chrono>

#include "config/load.hpp"
#include "config/scratch.hpp"
#include "fakes/fake_probe.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

// Guards begin at line 13.
const std::string kPlugin =
    "[[plugin]]\nname = \"plc\"\ntype = \"modbus\"\noptions.url = \"tcp://h:502\"\n"
    "[[plugin.register]]\nattribute = \"a\"\ntable = \"holding\"\naddress = 1\n"
    "command = \"speed\"\n";

class GuardTable : public testing::Test {
 protected:
  std::vector<GuardRule> guards(const std::string& rows) {
    const Loaded loaded =
        load_config(scratch_.write("fieldpost.toml", kHead + kPlugin + rows), probe_);
    said_.clear();
    for (const std::string& line : scratch_.words(loaded.problems)) {
      said_.push_back(line.substr(line.find(':') + 1));  // without the file
    }
    return loaded.config.plugins.at(0).instance.guards;
  }
  // Of one for "speed" that has these keys beside its safe value.
  Lines words(const std::string& keys, const std::string& safe = "safe = 0\n") {
    (void)guards("[[plugin.guard]]\ncommand = \"speed\"\n" + safe + keys);
    return said_;
  }

  Scratch scratch_;
  FakeProbe probe_;
  Lines said_;
};

TEST_F(GuardTable, IsReadAndSafeIsOfTheCommandsType) {
  const auto found = guards(
      "[[plugin.guard]]\ncommand = \"speed\"\nsafe = 0\nuplink_silent = \"5min\"\nmin_on = "
      "\"30s\"\nmin_off = \"3min\"\nmax_on = \"1h\"\nmax_rate = 6\ninterlock = \"way\"\n");
  EXPECT_EQ(said_, Lines{});
  EXPECT_EQ(found, (std::vector<GuardRule>{{.command = "speed",
                                            .safe = Value(0.0),
                                            .uplink_silent = 5min,
                                            .min_on = 30s,
                                            .min_off = 3min,
                                            .max_on = 1h,
                                            .max_rate = 6,
                                            .interlock = "way"}}));
}

TEST_F(GuardTable, WithoutASafeValueItHolds) {
  const auto found = guards("[[plugin.guard]]\ncommand = \"speed\"\nmin_on = \"30s\"\n");
  EXPECT_EQ(said_, Lines{});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].hold_at_stop);
  EXPECT_FALSE(found[0].safe);
}

TEST_F(GuardTable, NamesACommandThatIsThere) {
  EXPECT_EQ(
      (guards("[[plugin.guard]]\ncommand = \"sped\"\n"), said_),
      Lines{"14:11: plugin.guard.command: the instance has no 'sped'; did you mean 'speed'?"});
  EXPECT_EQ((guards("[[plugin.guard]]\nsafe = 0\n"), said_.size()), 1U);
  EXPECT_EQ((guards("[[plugin.guard]]\ncommand = \"speed\"\n[[plugin.guard]]\ncommand = "
                    "\"speed\"\n"),
             said_),
            Lines{"16:11: plugin.guard.command: 'speed' has a row already"});
}

TEST_F(GuardTable, ASafeValueThatTheCommandWouldRefuseIsRefusedHere) {
  EXPECT_EQ(words("", "safe = 101\n"),
            Lines{"15:8: plugin.guard.safe: expected a number from 0 to 100, got 101"});
  EXPECT_EQ(words("", "safe = \"off\"\n"),
            Lines{"15:8: plugin.guard.safe: expected a number from 0 to 100, got \"off\""});
}

TEST_F(GuardTable, WhatDrivesSafeNeedsIt) {
  for (const std::string key :
       {"uplink_silent = \"5min\"", "max_on = \"1h\"", "at_stop = \"safe\""}) {
    const std::string name = key.substr(0, key.find(' '));
    const Lines lines = words(key, "");
    ASSERT_EQ(lines.size(), 1U) << key;
    EXPECT_NE(lines[0].find("plugin.guard." + name + ": it needs `safe`"), std::string::npos)
        << lines[0];
  }
  EXPECT_EQ(words("at_stop = \"hold\"", ""), Lines{});
  EXPECT_EQ(words("at_stop = \"hold\""), Lines{});
  EXPECT_EQ(words("interlock = \"way\"\nat_stop = \"hold\"").size(), 1U);
}

TEST_F(GuardTable, OffIsSafeWhereOnHasALimit) {
  EXPECT_EQ(words("max_on = \"1h\"", "safe = 20\n"),
            Lines{"16:10: plugin.guard.max_on: `safe` is on: expected false, or 0"});
}

TEST_F(GuardTable, ASilenceIsLongerThanAQuietBrokersPause) {
  EXPECT_EQ(words("uplink_silent = \"60s\""),
            Lines{"16:17: plugin.guard.uplink_silent: a quiet broker is heard of every "
                  "uplink.keepalive, 1 min 0 s; expected at least 1 min 30 s, or a shorter "
                  "keepalive"});
}

TEST_F(GuardTable, ACommandOfSeveralArgumentsCannotBeGuarded) {
  PluginProbe::Verdict verdict;
  CommandSpec spec{.name = "speed", .output = "motor"};
  spec.args = {{.name = "value"}, {.name = "ramp"}};
  verdict.declaration.commands.push_back({spec, 0, 0});
  probe_.verdicts.insert_or_assign("modbus", verdict);
  EXPECT_EQ(words("", "safe = \"x\"\n"),
            Lines{"14:11: plugin.guard.command: 'speed' has 2 arguments; what has one can be "
                  "guarded"});
}

TEST_F(GuardTable, AnotherWayToTheSameOutputIsSaid) {
  PluginProbe::Verdict verdict;
  for (const char* name : {"speed", "stop"}) {
    CommandSpec spec{.name = name, .output = "motor"};
    spec.args = {{.name = "value", .type = OptionType::Number}};
    verdict.declaration.commands.push_back({spec, 0, 0});
  }
  probe_.verdicts.insert_or_assign("modbus", verdict);
  const Lines lines = words("");
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("'stop' drives motor as well, and passes this guard by"),
            std::string::npos)
      << lines[0];
}

}  // namespace
}  // namespace fieldpost
