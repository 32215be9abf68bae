// SPDX-License-Identifier: Apache-2.0
//
// Rate limits, bans and another client with our id, on real connections.
#include <gtest/gtest.h>

#include "fakes/broker.hpp"
#include "fakes/mqtt_server.hpp"
#include "fakes/subscriber.hpp"
#include "uplink/harness.hpp"

namespace fieldpost::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = UplinkStatus::State;

TEST(UplinkPace, KeepsToTheLimitsAlsoOverARestart) {
  const Broker broker;
  Harness harness(broker.port());
  harness.options.limits = {.per_topic = 1, .per_connection = 100, .window = seconds(2)};
  harness.append(kGateway, 1);
  const auto begin = BootClock::now();
  harness.start();
  ASSERT_TRUE(eventually([&] { return harness.status().held_back; }))
      << "nobody knows what was sent";
  ASSERT_TRUE(harness.all_acknowledged());
  const auto first = BootClock::now();
  EXPECT_GE(first - begin, seconds(2));
  harness.uplink.reset();
  harness.append(kGateway, 1);
  harness.start();
  ASSERT_TRUE(harness.all_acknowledged());
  // What counts is when it was acknowledged, a little before we saw it.
  EXPECT_GE(BootClock::now() - first, milliseconds(1900));
  EXPECT_LE(BootClock::now() - first, seconds(10));
}

TEST(UplinkPace, NamesAnotherClientWithTheSameId) {
  const Broker broker;
  Harness one(broker.port());
  Harness other(broker.port());
  one.start();
  ASSERT_TRUE(one.wait_state(State::Connected));
  other.start();
  ASSERT_TRUE(eventually([&] {
    const std::string words = "another client seems to use the id " + kGateway;
    return one.reasons().find(words) != std::string::npos ||
           other.reasons().find(words) != std::string::npos;
  })) << one.reasons();
}

TEST(UplinkPace, ABanIsKnownAndWaitedFor) {
  MqttServer server({});
  Harness harness(server.port());
  harness.options.limits = {.per_topic = 28, .per_connection = 280, .window = milliseconds(1)};
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected));
  server.set({.connack = 5, .close_after_connack = true, .reset_on_publish = true});
  harness.append(kGateway, 1);
  ASSERT_TRUE(harness.wait_words("CONNACK 5")) << harness.reasons();
  ASSERT_TRUE(harness.wait_words("keep us out for having sent too much, or the access key"))
      << harness.reasons();
  const UplinkStatus status = harness.status();
  EXPECT_EQ(status.state, State::Waiting);
  EXPECT_GE(status.retry_ns - status.since_ns, 29'000'000'000) << "not at once";
  EXPECT_TRUE(status.reason.ends_with("; for an hour half as much is sent")) << status.reason;
  // That holds after a restart, and after somebody has asked for an attempt.
  harness.uplink.reset();
  harness.start();
  for (int attempt = 0; attempt < 2; ++attempt) {
    const int before = server.closed();
    if (attempt > 0) harness.uplink->reconnect();
    ASSERT_TRUE(eventually([&] { return server.closed() > before || attempt == 0; }));
    ASSERT_TRUE(eventually([&] {
      const UplinkStatus s = harness.status();
      return s.state == State::Waiting && s.retry_ns - s.since_ns >= 29'000'000'000;
    })) << harness.reasons();
  }
  server.set({});
  harness.uplink->reconnect();  // somebody knows better
  ASSERT_TRUE(harness.all_acknowledged()) << harness.reasons();
}

TEST(UplinkPace, WithoutLimitsABanHalvesNothing) {
  MqttServer server({});
  Harness harness(server.port());
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected));
  server.set({.connack = 5, .close_after_connack = true, .reset_on_publish = true});
  harness.append(kGateway, 1);
  ASSERT_TRUE(harness.wait_words("or the access key is not valid any more")) << harness.reasons();
  EXPECT_FALSE(harness.wait_words("half as much", milliseconds(0))) << harness.reasons();
  server.set({});
  harness.uplink->reconnect();
  ASSERT_TRUE(harness.all_acknowledged()) << harness.reasons();
  EXPECT_FALSE(harness.status().slowed);
}

// The second of the list has never let us in: that the first is away for a while is no ban.
TEST(UplinkPace, ARefusalBySomeOtherBrokerSlowsNothing) {
  auto good = std::make_unique<MqttServer>(MqttServer::Behaviour{});
  MqttServer other({.connack = 5, .close_after_connack = true});
  Harness harness(good->port());
  harness.options.limits = {.per_topic = 28, .per_connection = 280, .window = milliseconds(1)};
  harness.options.brokers.push_back({.host = "other.example", .port = other.port()});
  harness.options.resolve = [](const std::string&) -> Result<std::vector<std::string>> {
    return std::vector<std::string>{"127.0.0.1"};
  };
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected));
  good.reset();
  ASSERT_TRUE(harness.wait_words("CONNACK 5")) << harness.reasons();
  EXPECT_FALSE(harness.wait_words("keep us out", milliseconds(0))) << harness.reasons();
}

}  // namespace
}  // namespace fieldpost::test
