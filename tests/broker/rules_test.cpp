// SPDX-License-Identifier: Apache-2.0
//
// The rules with a clock of our own: every limit at its edge.
#include "broker/rules.hpp"

#include <gtest/gtest.h>

namespace fieldpost::losant {
namespace {

const std::string kGateway = "575ecf887ae143cd83dc4aa2";
const std::string kBehind = "575ecf887ae143cd83dc4aa3";
constexpr int64_t kStart = 1'000'000;

Settings settings() {
  Settings result{.keys = {{"key", "secret"}},
                  .platform_user = "platform",
                  .platform_password = "word",
                  .devices = {{kGateway, {}}},
                  .topics = {"answers/+/a", "free/#"}};
  for (int i = 0; i < 11; ++i) {
    result.devices["peripheral-" + std::to_string(i)] = {.gateway = kGateway};
  }
  result.devices[kBehind] = {.gateway = kGateway};
  return result;
}

std::string state_of(const std::string& device) { return "losant/" + device + "/state"; }

class LosantRules : public ::testing::Test {
 protected:
  // The kind of what is wrong; empty when nothing is.
  std::string publish(int64_t now, const std::string& topic = state_of(kGateway)) {
    last = rules.publish(now, kGateway, {.topic = topic, .qos = 1, .retain = false, .bytes = 2});
    return last ? last->kind : "";
  }
  std::string connect(int64_t now) {
    last = rules.connect(now, {.client = kGateway, .user = "key", .password = "secret"});
    return last ? last->kind : "";
  }
  // Breaks the limit of a topic at `now` and gives the length of the refusal.
  int64_t break_limit(int64_t now) {
    for (size_t i = 0; i < kTopicMessages; ++i) EXPECT_EQ(publish(now), "");
    EXPECT_EQ(publish(now), "topic-rate");
    return last->refused_ms;
  }

  Rules rules{settings()};
  Verdict last;
};

TEST_F(LosantRules, ATopicHasThirtyMessagesInAnyFifteenSeconds) {
  for (size_t i = 0; i < kTopicMessages; ++i) EXPECT_EQ(publish(kStart + int64_t(i)), "");
  // The first leaves the window at its end and not before: one more then, and no other.
  EXPECT_EQ(publish(kStart + kWindowMs), "");
  EXPECT_EQ(publish(kStart + kWindowMs), "topic-rate");
}

TEST_F(LosantRules, DirectionsOfATopicCountApart) {
  const std::string command = "losant/" + kGateway + "/command";
  for (size_t i = 0; i < kTopicMessages; ++i) {
    EXPECT_EQ(publish(kStart), "");
    EXPECT_FALSE(rules.deliver(kStart, kGateway, command));
  }
  EXPECT_EQ(rules.deliver(kStart, kGateway, command)->kind, "topic-rate");
}

TEST_F(LosantRules, AConnectionHasThreeHundredInBothDirections) {
  for (int topic = 0; topic < 10; ++topic) {
    for (int i = 0; i < 15; ++i) {
      EXPECT_EQ(publish(kStart, state_of("peripheral-" + std::to_string(topic))), "");
      EXPECT_FALSE(rules.deliver(kStart, kGateway, "free/" + std::to_string(topic)));
    }
  }
  EXPECT_EQ(publish(kStart, state_of("peripheral-10")), "connection-rate");
}

TEST_F(LosantRules, ARefusalLastsThirtySecondsAndDoublesUpToAnHour) {
  int64_t now = kStart;
  for (const int64_t expected : {30, 60, 120, 240, 480, 960, 1920, 3600, 3600}) {
    EXPECT_EQ(break_limit(now), expected * 1000);
    EXPECT_EQ(connect(now + expected * 1000 - 1), "refused");
    EXPECT_EQ(last->refused_ms, 1);
    now += expected * 1000;
    EXPECT_EQ(connect(now), "");
  }
  // An hour without a breach, and it begins anew.
  EXPECT_EQ(break_limit(now + kLongestRefusalMs + 1), kFirstRefusalMs);
}

TEST_F(LosantRules, WhoIsRefusedDoesNotMakeItLonger) {
  break_limit(kStart);
  EXPECT_EQ(publish(kStart + 1), "refused");
  EXPECT_EQ(connect(kStart + kFirstRefusalMs), "");
}

TEST_F(LosantRules, AnApplicationHasThreeHundredNewConnections) {
  for (size_t i = 0; i < kApplicationConnects; ++i) EXPECT_EQ(connect(kStart), "");
  EXPECT_EQ(connect(kStart + kWindowMs - 1), "application-rate");
  EXPECT_EQ(connect(kStart + kWindowMs), "");
}

TEST_F(LosantRules, TimeIsScaledAndUnlimitedIsUnlimited) {
  Settings quick = settings();
  quick.time_scale = 0.01;
  rules = Rules(quick);
  EXPECT_EQ(break_limit(kStart), kFirstRefusalMs / 100);
  EXPECT_EQ(connect(kStart + kFirstRefusalMs / 100), "");
  for (size_t i = 0; i < kTopicMessages; ++i) EXPECT_EQ(publish(kStart + 1'000), "");
  EXPECT_EQ(publish(kStart + 1'000 + kWindowMs / 100), "");
  quick.unlimited = true;
  rules = Rules(quick);
  for (size_t i = 0; i < 2 * kConnectionMessages; ++i) {
    ASSERT_EQ(publish(kStart), "");
    ASSERT_EQ(connect(kStart), "");
  }
}

TEST_F(LosantRules, OnlyItsOwnTopicsAndFreeOnes) {
  for (const std::string& topic :
       {state_of(kGateway), state_of(kBehind), std::string("answers/x/a"), std::string("free"),
        std::string("free/a/b")}) {
    EXPECT_EQ(publish(kStart, topic), "") << topic;
  }
  for (const char* topic :
       {"losant/575ecf887ae143cd83dc4aa9/state", "losant/575ecf887ae143cd83dc4aa2/command",
        "losant/575ecf887ae143cd83dc4aa2/fromAgent/x", "losant", "losant/", "answers/x", "answers",
        "answers/x/a/b", "other", "$CONTROL/x", "/free"}) {
    EXPECT_EQ(publish(kStart, topic), "topic") << topic;
  }
}

TEST_F(LosantRules, SubscriptionsAreToSingleTopics) {
  Breach why;
  for (const std::string& topic :
       {"losant/" + kGateway + "/command", "losant/" + kBehind + "/command",
        std::string("answers/+/a"), std::string("free/+"), std::string("free/#")}) {
    EXPECT_EQ(rules.subscribe(kGateway, topic, 1, why), Grant::Yes) << topic;
  }
  for (const char* topic : {"losant/+/command", "losant/#", "#", "+/x", "answers/#"}) {
    EXPECT_EQ(rules.subscribe(kGateway, topic, 1, why), Grant::Refused) << topic;
    EXPECT_EQ(why.kind, "subscription");
  }
  EXPECT_EQ(rules.subscribe(kGateway, "free/a", 2, why), Grant::Close);
}

TEST_F(LosantRules, WhatIsNotSupportedIsNamed) {
  Publish message{.topic = state_of(kGateway), .qos = 1, .retain = false, .bytes = kLargestPayload};
  EXPECT_FALSE(rules.publish(kStart, kGateway, message));
  message.bytes += 1;
  EXPECT_EQ(rules.publish(kStart, kGateway, message)->kind, "size");
  message = {.topic = message.topic, .qos = 2, .retain = false, .bytes = 0};
  EXPECT_EQ(rules.publish(kStart, kGateway, message)->kind, "qos");
  message = {.topic = message.topic, .qos = 0, .retain = true, .bytes = 0};
  EXPECT_EQ(rules.publish(kStart, kGateway, message)->kind, "retain");
}

TEST_F(LosantRules, AConnectNeedsIdKeyAndSecret) {
  const auto kind = [&](const Login& login) {
    const Verdict verdict = rules.connect(kStart, login);
    return verdict ? verdict->kind : "";
  };
  EXPECT_EQ(kind({.client = kGateway, .user = "key", .password = "secret"}), "");
  EXPECT_EQ(kind({.client = kGateway, .user = "key", .password = "Secret"}), "credentials");
  EXPECT_EQ(kind({.client = kGateway, .user = "", .password = ""}), "credentials");
  EXPECT_EQ(kind({.client = kBehind, .user = "key", .password = "secret"}), "client-id");
  EXPECT_EQ(kind({.client = "x", .user = "key", .password = "secret"}), "client-id");
  EXPECT_EQ(kind({.client = "x", .user = "platform", .password = "word"}), "");
  EXPECT_EQ(kind({.client = "x", .user = "platform", .password = "secret"}), "credentials");
  EXPECT_EQ(kind({.client = kGateway, .user = "key", .password = "secret", .mqtt_version = 5}),
            "version");
}

}  // namespace
}  // namespace fieldpost::losant
