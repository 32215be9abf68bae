// SPDX-License-Identifier: Apache-2.0
//
// The uplink against Debian's mosquitto.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <set>

#include "base/json.hpp"
#include "fakes/broker.hpp"
#include "fakes/losant_broker.hpp"
#include "fakes/subscriber.hpp"
#include "uplink/harness.hpp"

namespace fieldpost::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = UplinkStatus::State;

const std::string kPeripheral = "575ecf887ae143cd83dc4aa3";

// The numbers that arrived for a device, in the order of arrival.
std::vector<int64_t> numbers(const Subscriber& subscriber, const std::string& device = kGateway) {
  std::vector<int64_t> result;
  for (const Message& message : subscriber.messages()) {
    if (message.topic != "losant/" + device + "/state") continue;
    const auto json = parse_json(message.payload);
    if (!json) continue;
    const auto take = [&](const Json& state) {
      result.push_back(state.at("data").at("n").get<int64_t>());
    };
    if (json->is_array()) {
      for (const Json& state : *json) take(state);
    } else {
      take(*json);
    }
  }
  return result;
}

// Without what QoS 1 may have repeated: the first time each number was seen.
std::vector<int64_t> first_seen(const std::vector<int64_t>& all) {
  std::vector<int64_t> result;
  std::set<int64_t> seen;
  for (const int64_t n : all) {
    if (seen.insert(n).second) result.push_back(n);
  }
  return result;
}

std::vector<int64_t> up_to(int64_t last) {
  std::vector<int64_t> result;
  for (int64_t n = 1; n <= last; ++n) result.push_back(n);
  return result;
}

TEST(Uplink, PublishesEveryReadingOnceConnected) {
  const LosantBroker broker;
  const Subscriber subscriber(broker.port(), "losant/#");
  Harness harness(broker.port());
  for (int i = 0; i < 10; ++i) harness.append(kGateway, 3);
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
  for (int i = 0; i < 10; ++i) harness.append(kGateway, 1);
  ASSERT_TRUE(harness.all_acknowledged()) << harness.reasons();
  ASSERT_TRUE(eventually([&] { return numbers(subscriber).size() >= 40; }));
  EXPECT_EQ(numbers(subscriber), up_to(40));
  ASSERT_TRUE(eventually([&] { return harness.status().readings == 40; }));
  EXPECT_EQ(harness.status().connections, 1);
}

TEST(Uplink, LivePayloadIsOneStateInLosantsForm) {
  const LosantBroker broker;
  const Subscriber subscriber(broker.port(), "losant/#");
  Harness harness(broker.port());
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected));
  harness.append(kGateway, 1);
  ASSERT_TRUE(eventually([&] { return subscriber.count() == 1; }));
  EXPECT_EQ(subscriber.messages()[0].topic, "losant/" + kGateway + "/state");
  EXPECT_EQ(subscriber.messages()[0].payload,
            R"({"time":)" + std::to_string(harness.first_ms + 1) + R"(,"data":{"n":1}})");
}

TEST(Uplink, NothingIsLostAndOrderIsKeptOverBrokerRestarts) {
  // Unlimited: how many messages these rows become depends on how fast they are appended.
  LosantBroker broker({.peripherals = {kPeripheral}, .unlimited = true});
  const Subscriber subscriber(broker.port(), "losant/#");
  Harness harness(broker.port());
  harness.start();
  int rows = 0;
  const auto append_some = [&] {
    for (int i = 0; i < 200; ++i, ++rows) {
      harness.append(kGateway, 1);
      harness.append(kPeripheral, 2);
    }
  };
  ASSERT_TRUE(harness.wait_state(State::Connected));
  for (int round = 0; round < 3; ++round) {
    append_some();  // the broker goes in the middle of it
    broker.stop();
    append_some();
    ASSERT_TRUE(harness.wait_state(State::Waiting)) << harness.reasons();
    broker.start();
    ASSERT_TRUE(subscriber.wait_subscribed());
    ASSERT_TRUE(harness.all_acknowledged()) << harness.reasons();
  }
  ASSERT_TRUE(eventually([&] {
    return first_seen(numbers(subscriber)).size() >= size_t(rows) &&
           first_seen(numbers(subscriber, kPeripheral)).size() >= size_t(2 * rows);
  }));
  EXPECT_EQ(first_seen(numbers(subscriber)), up_to(rows));
  EXPECT_EQ(first_seen(numbers(subscriber, kPeripheral)), up_to(2 * rows));
}

TEST(Uplink, DrainsTheBacklogOfAMinuteInAFewMessages) {
  LosantBroker::Options options;
  for (int device = 0; device < 10; ++device) {
    options.peripherals.push_back(kGateway.substr(1) + std::to_string(device));
  }
  LosantBroker broker(options);
  broker.stop();
  Harness harness(broker.port());
  harness.start();
  ASSERT_TRUE(harness.wait_words("Connection refused"));
  for (int second = 0; second < 60; ++second) {
    for (const std::string& device : options.peripherals) harness.append(device, 20);
  }
  broker.start();
  ASSERT_TRUE(harness.wait_state(State::Connected, seconds(3))) << harness.reasons();
  ASSERT_TRUE(harness.all_acknowledged(seconds(1)));
  ASSERT_TRUE(eventually([&] { return harness.status().readings == 12'000; }));
  // Arrays begin small: nobody knows yet what the line carries.
  EXPECT_LE(harness.status().published, 30);
}

TEST(Uplink, CommandsOfOneMegabyteArrive) {
  const Broker broker;
  Subscriber subscriber(broker.port(), "answers");
  Harness harness(broker.port());
  harness.options.device_ids = {kGateway, kPeripheral};
  harness.start();
  const auto deliver = [&](const std::string& device, const std::string& payload) {
    const size_t before = harness.received().size();
    subscriber.publish("losant/" + device + "/command", payload);
    return eventually([&] { return harness.received().size() > before; }, seconds(5));
  };
  // The subscription may still be on its way: commands are never queued.
  ASSERT_TRUE(harness.wait_state(State::Connected));
  ASSERT_TRUE(eventually([&] {
    subscriber.publish("losant/" + kGateway + "/command", "{}");
    return eventually([&] { return !harness.received().empty(); }, milliseconds(200));
  }));
  EXPECT_EQ(harness.received()[0].device_id, kGateway);
  ASSERT_TRUE(deliver(kPeripheral, std::string(1 << 20, 'x')));
  EXPECT_EQ(harness.received().back().device_id, kPeripheral);
  EXPECT_EQ(harness.received().back().payload.size(), size_t{1} << 20);
  // One byte more is refused, but does not cost the connection.
  const size_t before = harness.received().size();
  subscriber.publish("losant/" + kGateway + "/command", std::string((1 << 20) + 1, 'x'));
  ASSERT_TRUE(deliver(kGateway, "after"));
  EXPECT_EQ(harness.received().size(), before + 1);
  EXPECT_EQ(harness.status().connections, 1);
}

TEST(Uplink, RetainedCommandsAreIgnored) {
  const Broker broker;
  Subscriber subscriber(broker.port(), "losant/+/command");
  subscriber.publish("losant/" + kGateway + "/command", "stale", true);
  ASSERT_TRUE(eventually([&] { return subscriber.count() == 1; }));
  Harness harness(broker.port());
  harness.start();
  ASSERT_TRUE(eventually([&] {
    subscriber.publish("losant/" + kGateway + "/command", "fresh");
    return eventually([&] { return !harness.received().empty(); }, milliseconds(200));
  }));
  for (const IncomingCommand& command : harness.received()) EXPECT_EQ(command.payload, "fresh");
}

TEST(Uplink, AFullMessageDoesNotWaitForItsAge) {
  const LosantBroker broker;
  Harness harness(broker.port());
  harness.options.batch_max_age = std::chrono::hours(1);
  harness.row_step = item_id::of_sample(1);
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected));
  for (int i = 0; i < 2'000; ++i) harness.append(kGateway, 1);
  EXPECT_TRUE(eventually([&] { return harness.status().published > 0; }));
}

// What comes in while a batch waits does not wake the thread: the next batch has to.
TEST(Uplink, EachBatchLeavesAtItsAge) {
  const LosantBroker broker;
  Harness harness(broker.port());
  harness.options.batch_max_age = milliseconds(100);
  harness.row_step = item_id::of_sample(1);
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected));
  for (int batch = 1; batch <= 3; ++batch) {
    harness.append(kGateway, 1);
    harness.append(kGateway, 1);
    ASSERT_TRUE(eventually([&] { return harness.status().readings == 2 * batch; })) << batch;
  }
}

TEST(Uplink, AnswersAreDeliveredOrGivenUpInWords) {
  LosantBroker broker;
  const Subscriber subscriber(broker.port(), "answers/#");
  Harness harness(broker.port());
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected));
  harness.uplink->publish({.topic = "answers/a", .payload = "done"});
  ASSERT_TRUE(eventually([&] { return harness.delivered() == 1 && subscriber.count() == 1; }));
  EXPECT_EQ(subscriber.messages()[0].payload, "done");
  harness.uplink->publish({.topic = "answers/#", .payload = "no topic to publish to"});
  ASSERT_TRUE(eventually([&] { return harness.given_up() == 1; }));
  EXPECT_EQ(harness.status().connections, 1);
  broker.stop();
  ASSERT_TRUE(harness.wait_state(State::Waiting));
  harness.uplink->publish({.topic = "answers/a", .payload = "late"});
  broker.start();
  ASSERT_TRUE(eventually([&] { return harness.delivered() == 2; })) << "it has waited";
  broker.stop();
  ASSERT_TRUE(harness.wait_state(State::Waiting));
  harness.uplink->publish({.topic = "answers/a", .payload = "too late"});
  harness.uplink->stop(std::chrono::milliseconds(100));
  EXPECT_EQ(harness.given_up(), 2u);
}

TEST(Uplink, LogsInWithWhatIsInTheFilesNow) {
  const TempDir folder;
  const LosantBroker broker({.allow = {"credentials"}});
  Harness harness(broker.port());
  harness.options.access_key_file = folder / "key";
  harness.options.access_secret_file = folder / "secret";
  harness.start();
  ASSERT_TRUE(harness.wait_words("access key '" + (folder / "key") + "' does not exist"));
  std::ofstream(folder / "key") << kAccessKey << "\n";
  std::ofstream(folder / "secret") << "\n";
  ASSERT_TRUE(harness.wait_words("secret' is empty"));
  std::ofstream(folder / "secret") << "s3cr3t-of-yesterday\n";
  ASSERT_TRUE(harness.wait_words("(CONNACK 5)")) << harness.reasons();
  std::ofstream(folder / "secret") << kAccessSecret << "\n";
  ASSERT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
  EXPECT_EQ(harness.reasons().find("s3cr3t"), std::string::npos);
}

TEST(Uplink, ReconnectsOnlyForWhatNeedsIt) {
  const LosantBroker broker({.peripherals = {kPeripheral}});
  const LosantBroker other({.peripherals = {kPeripheral}});
  Subscriber subscriber(broker.port(), "x");
  Harness harness(broker.port());
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected));
  harness.options.device_ids = {kGateway, kPeripheral};
  harness.options.window_messages = 5;
  harness.uplink->apply(harness.options);
  ASSERT_TRUE(eventually([&] {
    subscriber.publish("losant/" + kPeripheral + "/command", R"({"name":"x"})");
    return eventually([&] { return !harness.received().empty(); }, milliseconds(200));
  }));
  EXPECT_EQ(harness.status().connections, 1);
  harness.broker().port = other.port();
  harness.uplink->apply(harness.options);
  ASSERT_TRUE(eventually([&] { return harness.status().connections == 2; }));
  harness.append(kGateway, 1);
  ASSERT_TRUE(harness.all_acknowledged());
}

TEST(Uplink, ReconnectEndsABackoff) {
  LosantBroker broker;
  broker.stop();
  Harness harness(broker.port());
  harness.options.backoff_max = std::chrono::minutes(5);
  harness.start();
  // Some attempts later a pause is much longer than this test.
  ASSERT_TRUE(harness.wait_words("Connection refused"));
  for (int i = 0; i < 12; ++i) {
    harness.uplink->reconnect();
    ASSERT_TRUE(harness.wait_state(State::Waiting));
  }
  broker.start();
  harness.uplink->reconnect();
  ASSERT_TRUE(harness.wait_state(State::Connected, seconds(2))) << harness.reasons();
}

TEST(Uplink, AnswersPingsAndStopsInTime) {
  LosantBroker broker;
  Harness harness(broker.port());
  harness.start();
  harness.uplink->ping();
  ASSERT_TRUE(eventually([&] { return harness.uplink->answered() == 1; }));
  ASSERT_TRUE(harness.wait_state(State::Connected));
  // A broker that hangs: what is in flight cannot be waited for.
  broker.freeze();
  for (int i = 0; i < 100; ++i) harness.append(kGateway, 100);
  const auto before = std::chrono::steady_clock::now();
  harness.uplink->stop(milliseconds(500));
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(700));
  EXPECT_EQ(harness.status().state, State::Stopped);
  EXPECT_GT(harness.waiting_rows(), 0U);
  broker.thaw();
}

TEST(Uplink, SaysGoodbyeWhenItStops) {
  LosantBroker broker;
  Harness harness(broker.port());
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected));
  harness.append(kGateway, 1);
  harness.uplink->stop();
  const std::string goodbye = "Received DISCONNECT from " + kGateway;
  EXPECT_TRUE(eventually([&] { return broker.log().find(goodbye) != std::string::npos; }))
      << broker.log();
}

}  // namespace
}  // namespace fieldpost::test
