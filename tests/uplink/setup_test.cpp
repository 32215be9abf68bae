// SPDX-License-Identifier: Apache-2.0
#include "uplink/setup.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

TEST(UplinkSetup, KnowsWhichDeviceACommandIsFor) {
  EXPECT_EQ(commanded_device("losant/abc/command"), "abc");
  for (const char* topic : {"", "losant/abc/state", "losant//command", "losant/command",
                            "other/abc/command", "losant/abc/commands"}) {
    EXPECT_FALSE(commanded_device(topic)) << topic;
  }
}

TEST(UplinkSetup, SubscribesToTheCommandsOfEachDevice) {
  Uplink::Options options;
  options.device_ids = {"gateway", "peripheral"};
  EXPECT_EQ(subscriptions(options), (std::vector<Subscription>{{"losant/gateway/command", 1},
                                                               {"losant/peripheral/command", 1}}));
  for (const auto& [topic, qos] : subscriptions(options)) EXPECT_TRUE(commanded_device(topic));
}

TEST(UplinkSetup, SubscribesOnceToACustomTopicThatSeveralWant) {
  Uplink::Options options;
  options.custom_subscriptions = {{"a/+", 0}, {"b", 0}, {"a/+", 1}};
  EXPECT_EQ(subscriptions(options), (std::vector<Subscription>{{"a/+", 1}, {"b", 0}}));
}

TEST(UplinkSetup, ConnectsAnewOnlyForWhatTheConnectionDependsOn) {
  const Uplink::Options before;
  Uplink::Options after;
  after.device_ids = {"another"};
  after.window_messages = 1;
  after.backoff_max = std::chrono::seconds(5);
  EXPECT_FALSE(needs_reconnect(before, after));
  after.brokers.push_back({.host = "another"});
  EXPECT_TRUE(needs_reconnect(before, after));
  after = before;
  after.proxy_host = "proxy";
  EXPECT_TRUE(needs_reconnect(before, after));
}

TEST(UplinkSetup, ALostLineIsNoticedWithinOneAndAHalfKeepalives) {
  using std::chrono::milliseconds, std::chrono::seconds;
  const seconds tick(1);  // how late libmosquitto may ask
  for (const int s : {5, 6, 10, 15, 60, 3600}) {
    const seconds keepalive(s);
    EXPECT_GT(lost_after(keepalive), seconds(1));
    EXPECT_LE(keepalive + tick + lost_after(keepalive), keepalive * 3 / 2.0) << s;
  }
}

TEST(UplinkSetup, LeavesRoomForAnswersBesideAFullWindow) {
  Uplink::Options options;
  options.window_messages = 5;
  EXPECT_GT(max_in_flight(options), 5);
  EXPECT_EQ(line_options(options, {}, {}).session.max_in_flight, max_in_flight(options));
}

}  // namespace
}  // namespace fieldpost
