// SPDX-License-Identifier: Apache-2.0
//
// The C++ fixture: it judges what its broker has seen.
#include "fakes/losant_broker.hpp"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "fakes/subscriber.hpp"

namespace fieldpost::test {
namespace {

const std::string kCommand = "losant/575ecf887ae143cd83dc4aa2/command";

// A broker that lives as long as it takes to send this command through it.
void send_command(const std::string& payload, const LosantOptions& options = {}) {
  const LosantBroker broker(options);
  Subscriber platform(broker.port(), "losant/#");
  platform.publish(kCommand, payload);
  ASSERT_TRUE(eventually([&] { return platform.count() == 1; }));
  const std::vector<Json> published = broker.record("publish");
  ASSERT_EQ(published.size(), 1U);
  EXPECT_EQ(published[0].at("topic"), kCommand);
  EXPECT_EQ(published[0].at("payload"), payload);
  EXPECT_EQ(published[0].at("platform"), true);
}

TEST(LosantBrokerFixture, HasNothingToSayWhenAllIsWell) { send_command(R"({"name":"x"})"); }

TEST(LosantBrokerFixture, FailsTheTestForEachFinding) {
  EXPECT_NONFATAL_FAILURE(send_command("{}"), "command: ");
}

TEST(LosantBrokerFixture, LetsPassWhatIsAllowed) { send_command("{}", {.allow = {"command"}}); }

TEST(LosantBrokerFixture, ABrokerThatNobodyUsedProvesNothing) {
  EXPECT_NONFATAL_FAILURE(LosantBroker(), "nothing is recorded");
}

TEST(LosantBrokerFixture, KeepsItsRecordOverARestart) {
  LosantBroker broker;
  Subscriber platform(broker.port(), "losant/#");
  broker.stop();
  broker.start();
  ASSERT_TRUE(platform.wait_subscribed());
  EXPECT_TRUE(eventually([&] { return broker.record("connect").size() == 2; }));
  EXPECT_TRUE(is_listening(broker.websocket_port()));
}

}  // namespace
}  // namespace fieldpost::test
