// SPDX-License-Identifier: Apache-2.0
//
// Brokers and networks that misbehave.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <condition_variable>
#include <fstream>

#include "fakes/mqtt_server.hpp"
#include "uplink/harness.hpp"

namespace fieldpost::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = UplinkStatus::State;

int64_t peak_memory_kb() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

std::string bytes(std::initializer_list<int> list) {
  std::string result;
  for (const int b : list) result += static_cast<char>(b);
  return result;
}

TEST(UplinkFault, RowsAreAcknowledgedOnlyByPubacks) {
  MqttServer server({.puback = MqttServer::Puback::Never});
  Harness harness(server.port());
  harness.options.keepalive = seconds(1);  // the limit for an acknowledgement
  for (int i = 0; i < 5; ++i) harness.append(kGateway, 2);
  harness.start();
  ASSERT_TRUE(eventually([&] { return !server.published().empty(); }));
  ASSERT_TRUE(harness.wait_words("the broker has acknowledged nothing for")) << harness.reasons();
  EXPECT_EQ(harness.waiting_rows(), 5U);
  server.set({});
  ASSERT_TRUE(harness.all_acknowledged());
}

// As Losant does it: what was right is acknowledged, and for what was wrong the connection ends,
// all in one breath, while more waits to be sent.
TEST(UplinkFault, AForbiddenTopicIsFoundAlsoBehindAcknowledgements) {
  const std::string wrong = "losant/device9/state";
  MqttServer server({.puback = MqttServer::Puback::Reversed, .reverse = 5, .forbidden = wrong});
  Harness harness(server.port());
  for (int i = 0; i < 100; ++i) harness.append("device" + std::to_string(i), 1);
  harness.start();
  ASSERT_TRUE(eventually([&] { return server.closed() >= 1; }));
  server.set({.forbidden = wrong});
  ASSERT_TRUE(harness.wait_words("the broker closed the connection")) << harness.reasons();
  ASSERT_TRUE(eventually([&] { return !harness.status().set_aside.empty(); }));
  EXPECT_EQ(harness.status().set_aside.front().topic, wrong);
  ASSERT_TRUE(eventually([&] { return harness.waiting_rows() == 1; }));
  EXPECT_EQ(harness.reasons().find("publish"), std::string::npos) << harness.reasons();
}

TEST(UplinkFault, AForbiddenAnswerTopicIsSetAsideAndNamed) {
  const std::string wrong = "answers/here";
  MqttServer server({.forbidden = wrong});
  Harness harness(server.port());
  harness.start();
  for (size_t n = 1; n <= 3; ++n) {
    harness.append("device", 1);
    ASSERT_TRUE(harness.all_acknowledged()) << n;
    harness.uplink->publish({.topic = wrong, .payload = "done"});
    ASSERT_TRUE(eventually([&] { return harness.given_up() == n; })) << n;
  }
  EXPECT_EQ(server.closed(), 2) << "the third answer is not sent";
  ASSERT_EQ(harness.status().set_aside.size(), 1U);
  EXPECT_EQ(harness.status().set_aside.front().topic, wrong);
  server.set({});
  harness.uplink->reconnect();  // somebody has mended the access key
  harness.uplink->publish({.topic = wrong, .payload = "done"});
  ASSERT_TRUE(eventually([&] { return harness.delivered() == 1; }));
}

TEST(UplinkFault, AnAnswerWaitsWhileASuspectIsTried) {
  const std::string suspect = "losant/device/state";
  MqttServer server({.forbidden = suspect});
  Harness harness(server.port());
  harness.append("device", 1);
  harness.start();
  ASSERT_TRUE(eventually([&] { return server.closed() == 1; }));
  server.set({.puback = MqttServer::Puback::Never});
  ASSERT_TRUE(eventually([&] { return server.published().size() == 1; }));
  harness.uplink->publish({.topic = "answers/here", .payload = "done"});
  EXPECT_FALSE(eventually([&] { return server.published().size() > 1; }, milliseconds(300)));
}

// ---- Several brokers.

TEST(UplinkFault, WhenOneBrokerFailsTheNextIsTaken) {
  auto first = std::make_unique<MqttServer>(MqttServer::Behaviour{});
  MqttServer second({});
  Harness harness(first->port());
  harness.options.brokers.push_back({.url = "second", .host = "127.0.0.1", .port = second.port()});
  harness.append(kGateway, 1);
  harness.start();
  ASSERT_TRUE(harness.all_acknowledged());
  EXPECT_EQ(first->published().size(), 1U);
  first.reset();
  harness.append(kGateway, 1);
  ASSERT_TRUE(harness.all_acknowledged());
  EXPECT_EQ(second.published().size(), 1U);
  EXPECT_EQ(harness.status().url, "second");
}

TEST(UplinkFault, ABrokerThatOnlySwallowsIsLeftForTheNext) {
  MqttServer hole({.connack = std::nullopt});
  MqttServer refuses({.connack = 5});
  MqttServer good({});
  Harness harness(hole.port());
  for (const MqttServer* server : {&refuses, &good}) {
    harness.options.brokers.push_back({.host = "127.0.0.1", .port = server->port()});
  }
  harness.options.connect_timeout = milliseconds(300);
  harness.append(kGateway, 1);
  harness.start();
  ASSERT_TRUE(harness.all_acknowledged()) << harness.reasons();
  EXPECT_EQ(good.published().size(), 1U);
}

TEST(UplinkFault, PubacksInReverseOrder) {
  MqttServer server({.puback = MqttServer::Puback::Reversed, .reverse = 10});
  Harness harness(server.port());
  for (int i = 0; i < 100; ++i) harness.append("device" + std::to_string(i), 1);
  harness.start();
  ASSERT_TRUE(harness.all_acknowledged()) << server.published().size();
  EXPECT_EQ(server.published().size(), 100U);
  EXPECT_EQ(harness.status().connections, 1);
}

TEST(UplinkFault, WhatWasNotAcknowledgedIsSentAgainAndOnlyThat) {
  MqttServer server({.puback = MqttServer::Puback::Reversed, .reverse = 3});
  Harness harness(server.port());
  harness.options.keepalive = seconds(1);
  for (int i = 0; i < 10; ++i) harness.append("device" + std::to_string(i), 1);
  harness.start();
  // Nine are acknowledged in threes; the tenth waits for two that never come.
  ASSERT_TRUE(eventually([&] { return harness.waiting_rows() == 1; }));
  ASSERT_TRUE(harness.wait_words("the broker has acknowledged nothing for"));
  server.set({});
  ASSERT_TRUE(harness.all_acknowledged());
  ASSERT_EQ(server.published().size(), 11U);
  EXPECT_EQ(server.published()[9].topic, server.published()[10].topic);
}

TEST(UplinkFault, AHugePacketIsRefusedBeforeItIsAllocated) {
  MqttServer server({.after_connack = bytes({0x30, 0xff, 0xff, 0xff, 0x7f}) + "losant"});
  Harness harness(server.port());
  harness.start();
  ASSERT_TRUE(harness.wait_words("the broker announced a packet of 268.4 MB")) << harness.reasons();
  EXPECT_LT(peak_memory_kb(), 200'000);
  ASSERT_TRUE(eventually([&] { return server.closed() >= 1; }));
}

TEST(UplinkFault, AMalformedLengthAndGarbageCloseTheConnection) {
  MqttServer server({.after_connack = bytes({0x30, 0x80, 0x80, 0x80, 0x80, 0x01})});
  Harness harness(server.port());
  harness.start();
  ASSERT_TRUE(harness.wait_words("length is malformed")) << harness.reasons();
  server.set({.after_connack = "HTTP/1.1 400 Bad Request\r\n\r\n"});
  ASSERT_TRUE(harness.wait_words("what is not MQTT")) << harness.reasons();
  server.set({});
  harness.append(kGateway, 1);
  ASSERT_TRUE(harness.all_acknowledged());
}

TEST(UplinkFault, RefusalsAreExplainedAndNotFinal) {
  MqttServer server({.connack = 5, .close_after_connack = true});
  Harness harness(server.port());
  harness.start();
  ASSERT_TRUE(harness.wait_words("turns us away for a while (CONNACK 5)")) << harness.reasons();
  server.set({.connack = 2, .close_after_connack = true});
  ASSERT_TRUE(harness.wait_words("client id (CONNACK 2)")) << harness.reasons();
  server.set({});
  ASSERT_TRUE(harness.wait_state(State::Connected));
}

TEST(UplinkFault, ABrokerThatDoesNotAnswerConnectIsGivenUp) {
  const MqttServer server({.connack = std::nullopt});
  Harness harness(server.port());
  harness.options.connect_timeout = milliseconds(300);
  harness.start();
  ASSERT_TRUE(harness.wait_words("log in as " + kGateway + ": no answer in 300 ms"))
      << harness.reasons();
}

TEST(UplinkFault, ARefusedSubscriptionIsTriedAtQos0) {
  const MqttServer server({.grant = 0x80});
  Harness harness(server.port());
  harness.options.device_ids = {kGateway, "other"};
  harness.start();
  ASSERT_TRUE(eventually([&] { return server.subscribe_qos().size() == 4; }));
  EXPECT_EQ(server.subscribe_qos(), (std::vector<int>{1, 1, 0, 0}));
  EXPECT_EQ(harness.status().connections, 1);
}

TEST(UplinkFault, ASubscriptionWithoutAnAnswerIsNamed) {
  const MqttServer server({.grant = std::nullopt});
  Harness harness(server.port());
  harness.options.connect_timeout = milliseconds(300);
  harness.start();
  ASSERT_TRUE(eventually([&] { return !harness.status().refused_topics.empty(); }));
  EXPECT_EQ(harness.status().refused_topics.front(), "losant/" + kGateway + "/command");
  EXPECT_EQ(harness.status().connections, 1);
}

// A command's answer must not wait for what Nagle's algorithm waits for.
TEST(UplinkFault, SmallPacketsLeaveAtOnce) {
  const MqttServer server({});
  Harness harness(server.port());
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected));
  int found = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (peer.sin_family != AF_INET || ntohs(peer.sin_port) != server.port()) continue;
    int no_delay = 0;
    size = sizeof no_delay;
    ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
    EXPECT_NE(no_delay, 0);
    ++found;
  }
  EXPECT_EQ(found, 1);
}

TEST(UplinkFault, SurvivesResetsWithSigpipeAtItsDefault) {
  MqttServer server({.reset_on_publish = true});
  Harness harness(server.port());
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected));
  // libmosquitto ignores it for the whole process when a client is made; others may not.
  struct sigaction before {};
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ASSERT_EQ(::sigaction(SIGPIPE, &standard, &before), 0);
  for (int i = 0; i < 50; ++i) harness.append("device" + std::to_string(i), 100);
  ASSERT_TRUE(eventually([&] {
    ::sigaction(SIGPIPE, &standard, nullptr);
    return server.connections() >= 4;
  }));
  server.set({});
  ASSERT_TRUE(harness.all_acknowledged());
  ::sigaction(SIGPIPE, &before, nullptr);
}

TEST(UplinkFault, ALookupThatHangsDelaysNothing) {
  // Ends with the test, so that its thread does not outlive the process.
  struct Gate {
    std::mutex mutex;
    std::condition_variable opened;
    bool open = false;
    int inside = 0;
  };
  const auto gate = std::make_shared<Gate>();
  Harness harness(1);
  harness.broker().host = "broker.example";
  harness.options.connect_timeout = milliseconds(300);
  harness.options.resolve = [gate](const std::string&) -> Result<std::vector<std::string>> {
    std::unique_lock lock(gate->mutex);
    ++gate->inside;
    gate->opened.wait(lock, [&] { return gate->open; });
    --gate->inside;
    return Error{Errc::NotFound, "too late"};
  };
  harness.start();
  ASSERT_TRUE(eventually([&] { return harness.status().step == "resolve broker.example"; }));
  harness.uplink->ping();
  ASSERT_TRUE(eventually([&] { return harness.uplink->answered() == 1; }, milliseconds(200)));
  ASSERT_TRUE(harness.wait_words("resolve broker.example: no answer in 300 ms"));
  ASSERT_TRUE(harness.wait_words("8 earlier lookups have not ended yet")) << harness.reasons();
  const auto before = std::chrono::steady_clock::now();
  harness.uplink->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(300));
  {
    const std::scoped_lock lock(gate->mutex);
    gate->open = true;
  }
  gate->opened.notify_all();
  ASSERT_TRUE(eventually([&] {
    const std::scoped_lock lock(gate->mutex);
    return gate->inside == 0;
  }));
}

TEST(UplinkFault, TriesAllAddressesOneAfterTheOther) {
  const MqttServer server({});
  Harness harness(server.port());
  harness.broker().host = "broker.example";
  harness.options.resolve = [](const std::string&) -> Result<std::vector<std::string>> {
    return std::vector<std::string>{"127.0.0.2", "::1", "not an address", "127.0.0.1"};
  };
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
  EXPECT_EQ(harness.status().connections, 1);
}

TEST(UplinkFault, SaysWhatBecameOfEachAddress) {
  const uint16_t port = free_port();
  Harness harness(port);
  harness.broker().host = "broker.example";
  harness.options.resolve = [](const std::string&) -> Result<std::vector<std::string>> {
    return std::vector<std::string>{"127.0.0.1", "127.0.0.2"};
  };
  harness.start();
  const std::string p = std::to_string(port);
  ASSERT_TRUE(harness.wait_words("connect 127.0.0.1:" + p +
                                 ": Connection refused; connect 127.0.0.2:" + p +
                                 ": Connection refused"))
      << harness.reasons();
}

TEST(UplinkFault, AnUnknownNameIsNamed) {
  Harness harness(1883);
  harness.broker().host = "does-not-exist.invalid";
  harness.start();
  ASSERT_TRUE(harness.wait_words("resolve does-not-exist.invalid: ")) << harness.reasons();
}

TEST(UplinkFault, TheRunDirectoryMustBePrivateAndItsPathShort) {
  const MqttServer server({});
  {
    Harness harness(server.port());
    ::mkdir(harness.options.run_dir.c_str(), 0755);
    ::chmod(harness.options.run_dir.c_str(), 0755);
    harness.start();
    EXPECT_TRUE(harness.wait_words("must be a folder that only we may enter")) << harness.reasons();
  }
  Harness harness(server.port());
  harness.options.run_dir = harness.folder / std::string(100, 'x');
  harness.start();
  EXPECT_TRUE(harness.wait_words("choose a shorter run directory")) << harness.reasons();
}

TEST(UplinkFault, AStaleSocketIsRemovedAndAnythingElseIsNot) {
  const MqttServer server({});
  Harness harness(server.port());
  ::mkdir(harness.options.run_dir.c_str(), 0700);
  const std::string path = harness.options.run_dir + "/uplink.sock";
  std::ofstream(path) << "precious";
  harness.start();
  ASSERT_TRUE(harness.wait_words("is in the way")) << harness.reasons();
  std::filesystem::remove(path);
  const UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(stale.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
  EXPECT_FALSE(std::filesystem::exists(path));  // nobody else can connect
}

}  // namespace
}  // namespace fieldpost::test
