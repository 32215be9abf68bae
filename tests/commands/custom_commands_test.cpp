// SPDX-License-Identifier: Apache-2.0
#include "commands/custom_commands.hpp"

#include <gtest/gtest.h>

#include <random>

#include "base/json.hpp"
#include "commands/router.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

SubscribeConfig entry(std::vector<SubscribeConfig::Argument> arguments,
                      std::map<std::string, Value> map = {}) {
  return {.topic = "site/+/set",
          .device = "boiler",
          .device_id = "575ecf887ae143cd83dc4aa3",
          .command = "set",
          .arguments = std::move(arguments),
          .map = std::move(map)};
}

class CustomCommandsTest : public ::testing::Test {
 protected:
  // The command's payload, or why there is none.
  std::string read(const SubscribeConfig& with, const std::string& payload) {
    custom_commands_.configure({with});
    const auto read = custom_commands_.read({.topic = "site/x/set", .payload = payload});
    EXPECT_EQ(read.commands.size() + read.misfits.size(), 1U);
    return read.commands.empty() ? read.misfits.front().reason : read.commands.front().payload;
  }
  CustomCommands custom_commands_;
};

std::string with(const std::string& arguments) {
  return R"({"name":"set","payload":)" + arguments + "}";
}

TEST_F(CustomCommandsTest, AllOfTheTextIsAnArgument) {
  EXPECT_EQ(read(entry({{"mode", "", true}}), "a \"b\""), with(R"({"mode":"a \"b\""})"));
  EXPECT_EQ(read(entry({{"mode", "", true}}), ""), with(R"({"mode":""})"));
  EXPECT_EQ(read(entry({{"value", "", false}}), " 21.5\n"), with(R"({"value":21.5})"));
  EXPECT_EQ(read(entry({{"value", "", false}}), "true"), with(R"({"value":true})"));
  EXPECT_EQ(read(entry({{"value", "", false}}), "on"),
            "expected a number, true or false, got \"on\"");
  EXPECT_EQ(read(entry({{"value", "", false}}), "[1]"),
            "expected a number, true or false, got \"[1]\"");
  EXPECT_EQ(read(entry({}), "whatever"), with("{}")) << "a command without arguments";
}

TEST_F(CustomCommandsTest, PointersFindArguments) {
  const auto both = entry({{"a", "/x/y", true}, {"b", "/l/1", true}});
  EXPECT_EQ(read(both, R"({"x":{"y":"ON"},"l":[1,2.5]})"), with(R"({"a":"ON","b":2.5})"));
  EXPECT_EQ(read(entry({{"a", "/~0~1b/", true}}), R"({"~/b":{"":true}})"), with(R"({"a":true})"));
  const auto one = entry({{"a", "/x", true}});
  EXPECT_EQ(read(one, R"({"y":1})"), "there is nothing at \"/x\"");
  EXPECT_EQ(read(one, "5"), "there is nothing at \"/x\"");
  EXPECT_EQ(read(one, R"({"x":null})"),
            "expected a number, true, false or text at \"/x\", got null");
  EXPECT_EQ(read(one, R"({"x":{"z":1}})"),
            R"(expected a number, true, false or text at "/x", got {"z":1})");
  for (const char* index : {"/2", "/-1", "/x", "/", "/99999999999999999999", "/1x"}) {
    EXPECT_EQ(read(entry({{"a", index, true}}), "[1,2]"),
              "there is nothing at \"" + std::string(index) + "\"");
  }
}

TEST_F(CustomCommandsTest, ConstantsStandForTexts) {
  const std::map<std::string, Value> map = {{"ON", true}, {"OFF", false}, {"1", 5.0}};
  EXPECT_EQ(read(entry({{"value", "", false}}, map), "ON"), with(R"({"value":true})"));
  EXPECT_EQ(read(entry({{"value", "/s", false}}, map), R"({"s":"OFF"})"),
            with(R"({"value":false})"));
  EXPECT_EQ(read(entry({{"value", "/s", false}}, map), R"({"s":1})"), with(R"({"value":5.0})"));
  EXPECT_EQ(read(entry({{"value", "", false}}, map), "on"), "\"on\" is not in its map");
}

TEST_F(CustomCommandsTest, WhatCannotBeReadIsSaid) {
  const auto one = entry({{"a", "/x", true}});
  for (const char* bad : {"", "{", R"({"x":1} x)", "\xff"}) {
    const std::string reason = read(one, bad);
    EXPECT_FALSE(reason.starts_with("{")) << reason;
  }
  EXPECT_EQ(read(entry({{"a", "", true}}), "\xff"), "the message is not UTF-8");
  EXPECT_EQ(read(entry({{"a", "", true}}), std::string(kMaxCommandPayload + 1, 'x')),
            "the message has 262145 bytes; at most 262144 are taken");
  EXPECT_EQ(custom_commands_.counts().misfits, 6);
  EXPECT_EQ(custom_commands_.counts().received, 6);
}

TEST_F(CustomCommandsTest, EveryEntryWithTheTopicGetsTheMessage) {
  SubscribeConfig other = entry({});
  other.topic = "site/#";
  other.command = "blink";
  SubscribeConfig none = entry({});
  none.topic = "site/y/set";
  custom_commands_.configure({entry({{"a", "", true}}), other, none});
  const auto read = custom_commands_.read({.topic = "site/x/set", .payload = "t"});
  ASSERT_EQ(read.commands.size(), 2U);
  EXPECT_EQ(read.commands[1].payload, R"({"name":"blink","payload":{}})");
  EXPECT_EQ(read.commands[1].device_id, "575ecf887ae143cd83dc4aa3");
  EXPECT_TRUE(custom_commands_.read({.topic = "elsewhere", .payload = "t"}).commands.empty());
}

// What arrives is anybody's.
TEST_F(CustomCommandsTest, NoBytesHarm) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  custom_commands_.configure({entry({{"a", "/x/0", true}}), entry({{"a", "", false}}),
                              entry({{"a", "/x", true}}, {{"ON", true}})});
  const std::string alphabet = "{}[]\",:x0e-\\u \n\xc3\xa4";
  for (int i = 0; i < 20'000; ++i) {
    std::string payload = R"({"x":)";
    for (size_t n = random() % 20; n > 0; --n) payload += alphabet[random() % alphabet.size()];
    const auto read = custom_commands_.read({.topic = "site/x/set", .payload = payload});
    for (const IncomingCommand& command : read.commands) {
      EXPECT_TRUE(parse_json(command.payload)) << command.payload;
    }
  }
}

}  // namespace
}  // namespace fieldpost
