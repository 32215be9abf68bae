// SPDX-License-Identifier: Apache-2.0
//
// All four transports, through lines that are cut in every way we know.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <list>

#include "fakes/broker.hpp"
#include "fakes/cable.hpp"
#include "fakes/certificates.hpp"
#include "fakes/subscriber.hpp"
#include "uplink/harness.hpp"

namespace fieldpost::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = UplinkStatus::State;
using Mode = Cable::Mode;

struct Kind {
  const char* name;
  bool tls, web_socket;
};
constexpr Kind kKinds[] = {
    {"mqtt", false, false}, {"mqtts", true, false}, {"ws", false, true}, {"wss", true, true}};

// What all threads but this one have used.
milliseconds others_cpu() {
  const auto used = [](int who) {
    rusage usage{};
    ::getrusage(who, &usage);
    const auto of = [](const timeval& t) {
      return seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
    };
    return std::chrono::duration_cast<milliseconds>(of(usage.ru_utime) + of(usage.ru_stime));
  };
  return used(RUSAGE_SELF) - used(RUSAGE_THREAD);
}

// A broker, the line to it, and an uplink.
struct Rig {
  explicit Rig(const Kind& kind)
      : certificate(authority.issue("DNS:localhost")),
        // For the subscriber: plain MQTT.
        plain_port(free_port()),
        broker({.certificate = kind.tls ? certificate.file : "",
                .key = certificate.key,
                .extra = "listener " + std::to_string(plain_port) + " 127.0.0.1",
                .listener = kind.web_socket ? "protocol websockets\nsocket_domain ipv4" : ""}),
        cable({.to = broker.port()}),
        harness(cable.port()) {
    harness.broker().host = "localhost";
    harness.broker().tls = kind.tls;
    harness.options.ca_file = authority.ca_file();
    if (kind.web_socket) harness.broker().web_socket_path = "/mqtt";
    harness.options.keepalive = seconds(5);  // the least that libmosquitto takes
    harness.options.connect_timeout = seconds(2);
  }
  bool is_up() { return harness.wait_state(State::Connected); }
  // A round trip.
  bool carries() {
    harness.append(kGateway, 10);
    return harness.all_acknowledged();
  }

  Authority authority;
  Certificate certificate;
  uint16_t plain_port;
  Broker broker;
  Cable cable;
  Harness harness;
};

class UplinkTransports : public ::testing::TestWithParam<Kind> {
 protected:
  Rig rig{GetParam()};
};

TEST_P(UplinkTransports, CarryBothWaysAndComeBackAfterTheBroker) {
  Subscriber subscriber(rig.plain_port, "losant/#");
  for (int i = 0; i < 50; ++i) rig.harness.append(kGateway, 100);
  rig.harness.start();
  ASSERT_TRUE(rig.harness.all_acknowledged()) << rig.harness.reasons();
  EXPECT_TRUE(eventually([&] { return rig.harness.status().readings == 5'000; }));
  // Several frames: mosquitto writes 4 KB at a time into a WebSocket, and that every 100 ms.
  const std::string payload(20'000, 'x');
  ASSERT_TRUE(eventually([&] {
    subscriber.publish("losant/" + kGateway + "/command", payload);
    return eventually([&] { return !rig.harness.received().empty(); }, seconds(3));
  }));
  EXPECT_EQ(rig.harness.received().front().payload, payload);
  rig.broker.stop();
  ASSERT_TRUE(rig.harness.wait_state(State::Waiting));
  rig.harness.append(kGateway, 10);
  rig.broker.start();
  ASSERT_TRUE(rig.harness.all_acknowledged()) << rig.harness.reasons();
}

TEST_P(UplinkTransports, ComeBackAfterAReset) {
  rig.harness.start();
  ASSERT_TRUE(rig.carries()) << rig.harness.reasons();
  rig.cable.set(Mode::Reset);
  ASSERT_TRUE(rig.harness.wait_words("the broker reset the connection")) << rig.harness.reasons();
  // While it resets everybody who comes, whatever the step.
  const int before = rig.cable.connections();
  ASSERT_TRUE(eventually([&] { return rig.cable.connections() >= before + 3; }));
  rig.cable.set(Mode::Forward);
  EXPECT_TRUE(rig.carries()) << rig.harness.reasons();
}

TEST_P(UplinkTransports, ComeBackAfterAPeerThatForgotThem) {
  rig.harness.start();
  ASSERT_TRUE(rig.carries()) << rig.harness.reasons();
  rig.cable.set(Mode::Gone);
  rig.harness.append(kGateway, 10);
  ASSERT_TRUE(rig.harness.wait_words("the broker reset the connection")) << rig.harness.reasons();
  rig.cable.set(Mode::Forward);
  EXPECT_TRUE(rig.harness.all_acknowledged()) << rig.harness.reasons();
}

TEST_P(UplinkTransports, AreNotHeldUpByASlowDrip) {
  rig.cable.set(Mode::Drip);
  rig.harness.options.connect_timeout = milliseconds(100);  // two or three bytes
  rig.harness.start();
  ASSERT_TRUE(rig.harness.wait_words(": no answer in 100 ms")) << rig.harness.reasons();
  rig.cable.set(Mode::Forward);
  rig.harness.options.connect_timeout = seconds(10);
  rig.harness.uplink->apply(rig.harness.options);
  ASSERT_TRUE(rig.carries()) << rig.harness.reasons();
  // What drips in the middle of a connection is slow, and no more.
  rig.cable.set(Mode::Drip);
  rig.harness.append(kGateway, 1);
  EXPECT_TRUE(rig.harness.all_acknowledged()) << rig.harness.reasons();
}

TEST_P(UplinkTransports, StopInTimeWhateverTheLineDoes) {
  for (const bool connected : {false, true}) {
    Rig one(GetParam());
    if (!connected) one.cable.set(Mode::Swallow);
    one.harness.start();
    if (connected) {
      ASSERT_TRUE(one.is_up());
      one.cable.set(Mode::Swallow);
    } else {
      ASSERT_TRUE(eventually([&] { return one.cable.connections() > 0; }));
    }
    const auto before = std::chrono::steady_clock::now();
    one.harness.uplink->stop(milliseconds(500));
    EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(800)) << connected;
  }
}

INSTANTIATE_TEST_SUITE_P(Each, UplinkTransports, ::testing::ValuesIn(kKinds),
                         [](const auto& one) { return std::string(one.param.name); });

// All at once, as it takes long.
TEST(UplinkBlackHole, IsNoticedWithinOneAndAHalfKeepalives) {
  std::list<Rig> rigs;
  for (const Kind& kind : kKinds) rigs.emplace_back(kind);
  for (Rig& rig : rigs) rig.harness.start();
  for (Rig& rig : rigs) ASSERT_TRUE(rig.carries()) << rig.harness.reasons();
  const auto before = std::chrono::steady_clock::now();
  const milliseconds cpu_before = others_cpu();
  for (Rig& rig : rigs) rig.cable.set(Mode::Swallow);
  for (Rig& rig : rigs) {
    EXPECT_TRUE(rig.harness.wait_words("has been silent")) << rig.harness.reasons();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(7'500 + 500));
  // Four uplinks and four lines for some 7 s: nobody spins.
  EXPECT_LT(others_cpu() - cpu_before, milliseconds(300));
  for (Rig& rig : rigs) rig.cable.set(Mode::Forward);
  for (Rig& rig : rigs) EXPECT_TRUE(rig.carries()) << rig.harness.reasons();
}

}  // namespace
}  // namespace fieldpost::test
