// SPDX-License-Identifier: Apache-2.0
#include "supervisor/one_reading.hpp"

#include <gtest/gtest.h>

#include "host/host_driver.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using test::puppet;

Result<OneReading> taken(const InstanceConfig& config, nanoseconds limit = 10s) {
  return read_once(test::plugin_host(), test::plugin_path("puppet"), config, limit);
}

TEST(OneReading, HasEachAttributeOfAUnitThatAnswers) {
  InstanceConfig config = puppet("descriptors", 1);  // which brings the text as well
  const auto one = taken(config);
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_TRUE(one->complete());
  ASSERT_EQ(one->attributes.size(), 2u);
  ASSERT_TRUE(one->attributes[0] && one->attributes[1]);
  EXPECT_EQ(one->attributes[0]->value, Value(1.0));  // polled once
  ASSERT_EQ(one->silent.size(), 1u);
  EXPECT_FALSE(one->silent[0]);
}

TEST(OneReading, OfASilentUnitHasItsReasonAndGoesOnWithTheOthers) {
  InstanceConfig config = puppet("descriptors", 2);
  config.sections[config.units[1]].values["silent"] = true;
  const auto one = taken(config);
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_TRUE(one->complete());
  EXPECT_FALSE(one->silent[0]);
  EXPECT_EQ(one->silent[1], "no answer");
  EXPECT_TRUE(one->attributes[0]);
  EXPECT_FALSE(one->attributes[1]);
}

TEST(OneReading, DoesNotMakeABadValueAGoodOne) {
  const auto one = taken(puppet("bad-quality", 1), 3s);
  ASSERT_TRUE(one) << one.error().message;
  ASSERT_TRUE(one->attributes[0]);
  EXPECT_EQ(one->attributes[0]->quality, Quality::CommError);
  EXPECT_EQ(one->attributes[0]->detail, "exception 2");
  EXPECT_FALSE(one->complete());  // the text never comes: the limit ended it
}

TEST(OneReading, TakesWhatEventsBring) {
  InstanceConfig config = puppet("event", 1, 0s);
  const auto one = taken(config, 3s);
  ASSERT_TRUE(one) << one.error().message;
  ASSERT_TRUE(one->attributes[1]);
  EXPECT_EQ(one->attributes[1]->value, Value(std::string("event")));
}

// A guard would set the safe value when the plugin opens and once more when it closes.
TEST(OneReading, DrivesNothing) {
  const test::TempDir folder;
  InstanceConfig config;
  config.name = "tally";
  config.interval = 50ms;
  config.deadline = 10s;
  config.sections.push_back(
      {0, "", {{"file", folder / "tally"}, {"gate", std::string("/")}, {"work", 0.0}}});
  config.guards = {{.command = "tally", .safe = Value(0.0)}};
  const auto one = read_once(test::plugin_host(), test::plugin_path("tally"), config, 10s);
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(read_file(folder / "tally", 4096).value_or("none"), "");
}

TEST(OneReading, SaysWhyThereIsNone) {
  const auto absent = taken(puppet("absent", 1));
  EXPECT_EQ(absent.error().code, Errc::Unavailable);
  EXPECT_EQ(absent.error().message, "no such device");
  const auto invalid = taken(puppet("invalid", 1));
  EXPECT_EQ(invalid.error().code, Errc::Invalid);
  EXPECT_EQ(invalid.error().message, "this cannot work");
  EXPECT_EQ(taken(puppet("leave", 1)).error().message, "the plugin ended: exit status 3");
  EXPECT_EQ(taken(puppet("crash", 1)).error().message,
            "the plugin ended: killed by signal 6 (Aborted)");
  const auto hung = taken(puppet("hang-open", 1), 300ms);
  EXPECT_EQ(hung.error().code, Errc::Timeout);
  EXPECT_EQ(hung.error().message, "the plugin has not opened within 300 ms");
}

}  // namespace
}  // namespace fieldpost
