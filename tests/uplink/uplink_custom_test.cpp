// SPDX-License-Identifier: Apache-2.0
//
// Custom topics against a broker that keeps Losant's rules.
#include <gtest/gtest.h>

#include <set>

#include "fakes/losant_broker.hpp"
#include "fakes/subscriber.hpp"
#include "uplink/harness.hpp"

namespace fieldpost::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = UplinkStatus::State;

PublishConfig entry(const std::string& name, const std::string& topic, int qos = 1) {
  return {.name = name, .topic = topic, .payload = "${value}", .format = "text", .qos = qos};
}

// What arrived on a topic, without what QoS 1 may have repeated.
std::vector<std::string> payloads(const Subscriber& subscriber, const std::string& topic) {
  std::vector<std::string> found;
  for (const Message& message : subscriber.messages()) {
    if (message.topic != topic || std::ranges::find(found, message.payload) != found.end())
      continue;
    found.push_back(message.payload);
  }
  return found;
}

std::vector<std::string> up_to(int last) {
  std::vector<std::string> numbers;
  for (int n = 1; n <= last; ++n) numbers.push_back(std::to_string(n));
  return numbers;
}

TEST(UplinkCustom, ReadingsArriveOnTheirTopicBesideTheStates) {
  const LosantBroker broker({.topics = {"site/#"}});
  const Subscriber subscriber(broker.port(), "#");
  Harness harness(broker.port());
  harness.options.publishes = {entry("e", "site/${device}/${attribute}")};
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
  harness.append(kGateway, 1);
  harness.append("publish:e:boiler:n", 5);
  ASSERT_TRUE(harness.all_acknowledged()) << harness.reasons();
  ASSERT_TRUE(eventually([&] { return payloads(subscriber, "site/boiler/n").size() == 5; }));
  EXPECT_EQ(payloads(subscriber, "site/boiler/n"), up_to(5));
  EXPECT_TRUE(eventually([&] { return harness.status().custom_published == 5; }));
}

TEST(UplinkCustom, WithQosZeroAllButTheFirstGoUnacknowledgedAndTheOutboxIsEmptied) {
  const LosantBroker broker({.topics = {"site/#"}});
  const Subscriber subscriber(broker.port(), "site/#");
  Harness harness(broker.port());
  harness.options.publishes = {entry("e", "site/x", 0)};
  harness.options.window_messages = 1;  // the first alone
  harness.append("publish:e:boiler", 20);
  harness.start();
  ASSERT_TRUE(harness.all_acknowledged()) << harness.reasons();
  ASSERT_TRUE(eventually([&] { return payloads(subscriber, "site/x").size() == 20; }));
  EXPECT_EQ(payloads(subscriber, "site/x"), up_to(20));
  std::vector<int> qos;
  for (const Json& line : broker.record("publish")) {
    if (line.at("client") == kGateway) qos.push_back(line.at("qos"));
  }
  ASSERT_EQ(qos.size(), 20U);
  EXPECT_EQ(qos[0], 1);
  EXPECT_EQ(std::ranges::count(qos, 0), 19);
}

// Losant closes the connection at a topic that is not allowed. The states and the other topic must
// arrive all the same, and the one that is not is named.
TEST(UplinkCustom, AForbiddenTopicIsSetAsideAndHarmsNoOther) {
  const LosantBroker broker({.topics = {"site/#"}, .allow = {"topic"}});
  const Subscriber subscriber(broker.port(), "#");
  for (const int qos : {1, 0}) {
    SCOPED_TRACE(qos);
    Harness harness(broker.port());
    const std::string good = "site/good" + std::to_string(qos);
    harness.options.publishes = {entry("bad", "elsewhere/x", qos), entry("good", good, qos)};
    harness.append("publish:bad:boiler", 3);
    harness.append("publish:good:boiler", 3);
    harness.append(kGateway, 3);
    harness.start();
    EXPECT_TRUE(eventually([&] { return payloads(subscriber, good).size() == 3; }, seconds(30)))
        << harness.reasons();
    EXPECT_TRUE(eventually([&] { return harness.status().set_aside.size() == 1; }, seconds(30)))
        << harness.reasons();
    ASSERT_EQ(harness.status().set_aside.size(), 1U);
    EXPECT_EQ(harness.status().set_aside[0].topic, "elsewhere/x");
    EXPECT_EQ(harness.set_aside(), DeviceIds{"publish:bad:boiler"});
    EXPECT_TRUE(eventually([&] { return harness.waiting_rows() == 1; })) << "its readings wait";
    harness.append("publish:good:boiler", 1);
    EXPECT_TRUE(eventually([&] { return payloads(subscriber, good).size() == 4; }));
    EXPECT_EQ(harness.status().state, State::Connected);
  }
}

TEST(UplinkCustom, WhatAnEntryHasLeftIsDroppedCountedAndGone) {
  const LosantBroker broker({.topics = {"site/#"}});
  Harness harness(broker.port());
  harness.append("publish:gone:boiler", 7);
  harness.start();
  ASSERT_TRUE(harness.all_acknowledged()) << harness.reasons();
  EXPECT_TRUE(eventually([&] { return harness.status().custom_dropped == 7; }));
}

TEST(UplinkCustom, AChangedEntryCountsWithoutANewConnection) {
  const LosantBroker broker({.topics = {"site/#"}});
  const Subscriber subscriber(broker.port(), "site/#");
  Harness harness(broker.port());
  harness.options.publishes = {entry("e", "site/a")};
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
  harness.append("publish:e:boiler", 1);
  ASSERT_TRUE(harness.all_acknowledged());
  harness.options.publishes = {entry("e", "site/b")};
  harness.options.custom_subscriptions = {{"site/set/+", 1}};
  harness.uplink->apply(harness.options);
  harness.append("publish:e:boiler", 1);
  ASSERT_TRUE(harness.all_acknowledged());
  ASSERT_TRUE(eventually([&] { return payloads(subscriber, "site/b").size() == 1; }));
  ASSERT_TRUE(eventually([&] {
    for (const Json& line : broker.record("subscribe")) {
      if (line.at("topic") == "site/set/+") return true;
    }
    return false;
  }));
  EXPECT_EQ(harness.status().connections, 1);
}

TEST(UplinkCustom, MessagesOnSubscribedTopicsArriveAndRetainedOnesDoNot) {
  const LosantBroker broker({.topics = {"site/#"}});
  Subscriber platform(broker.port(), "none");
  platform.publish("site/set/old", "ON", true);
  Harness harness(broker.port());
  harness.options.custom_subscriptions = {{"site/set/+", 1}, {"site/other", 0}};
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
  ASSERT_TRUE(eventually([&] { return harness.status().retained == 1; }));
  platform.publish("site/set/new", "OFF");
  platform.publish("site/other", "x");
  ASSERT_TRUE(eventually([&] { return harness.messages().size() == 2; }));
  const auto messages = harness.messages();
  EXPECT_EQ(messages[0].topic, "site/set/new");
  EXPECT_EQ(messages[0].payload, "OFF");
  EXPECT_EQ(messages[1].topic, "site/other");
  EXPECT_TRUE(harness.received().empty()) << "none is a command of a device yet";
}

TEST(UplinkCustom, ASubscriptionThatIsRefusedIsNamed) {
  const LosantBroker broker({.topics = {"site/#"}, .allow = {"subscription"}});
  Harness harness(broker.port());
  harness.options.custom_subscriptions = {{"elsewhere/#", 1}};
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
  EXPECT_TRUE(eventually(
      [&] { return harness.status().refused_topics == std::vector<std::string>{"elsewhere/#"}; }));
}

}  // namespace
}  // namespace fieldpost::test
