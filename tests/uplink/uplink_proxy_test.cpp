// SPDX-License-Identifier: Apache-2.0
//
// Through an HTTP proxy.
#include <gtest/gtest.h>

#include <fstream>

#include "fakes/broker.hpp"
#include "fakes/cable.hpp"
#include "fakes/certificates.hpp"
#include "fakes/mqtt_server.hpp"
#include "uplink/harness.hpp"

namespace fieldpost::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = UplinkStatus::State;

const std::string kYes = "HTTP/1.1 200 Connection established\r\n\r\n";

void use_proxy(Harness& harness, uint16_t port) {
  harness.options.proxy_host = "127.0.0.1";
  harness.options.proxy_port = port;
  harness.broker().host = "broker.example";  // which nobody here can look up
  harness.broker().port = 1883;
  harness.options.resolve = [](const std::string& host) -> Result<std::vector<std::string>> {
    return Error{Errc::Invalid, host + " is the proxy's to look up"};
  };
}

TEST(UplinkProxy, LooksUpTheBrokerAndHearsNothingOfALogin) {
  const MqttServer server({});
  const Cable proxy({.to = server.port(), .answer = kYes});
  Harness harness(server.port());
  use_proxy(harness, proxy.port());
  harness.append(kGateway, 1);
  harness.start();
  ASSERT_TRUE(harness.all_acknowledged()) << harness.reasons();
  EXPECT_EQ(proxy.requests().front(),
            "CONNECT broker.example:1883 HTTP/1.1\r\nHost: broker.example:1883\r\n\r\n");
}

TEST(UplinkProxy, CarriesTlsAndWebSocketToTheBrokerItself) {
  const Authority authority;
  const Certificate certificate = authority.issue("DNS:broker.example");
  const Broker broker({.certificate = certificate.file,
                       .key = certificate.key,
                       // mosquitto 2.0.11 does not start with a WebSocket alone.
                       .extra = "listener " + std::to_string(free_port()) + " 127.0.0.1",
                       .listener = "protocol websockets\nsocket_domain ipv4"});
  const Cable proxy({.to = broker.port(), .answer = kYes});
  Harness harness(broker.port());
  use_proxy(harness, proxy.port());
  harness.broker().tls = true;
  harness.options.ca_file = authority.ca_file();
  harness.broker().web_socket_path = "/";
  harness.append(kGateway, 1);
  harness.start();
  EXPECT_TRUE(harness.all_acknowledged()) << harness.reasons();
}

TEST(UplinkProxy, IsToldWhatTheFileHoldsNow) {
  const MqttServer server({});
  const Cable proxy({.to = server.port(), .answer = kYes});
  Harness harness(server.port());
  use_proxy(harness, proxy.port());
  harness.options.proxy_login_file = harness.folder / "login";
  harness.start();
  ASSERT_TRUE(harness.wait_words("login' does not exist")) << harness.reasons();
  std::ofstream(harness.folder / "login") << "me:secret\n";
  ASSERT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
  EXPECT_NE(proxy.requests().back().find("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n"),
            std::string::npos)
      << proxy.requests().back();
  EXPECT_EQ(harness.reasons().find("secret"), std::string::npos);
}

TEST(UplinkProxy, RefusalsAreExplained) {
  const auto refused = [](const std::string& answer, const std::string& login,
                          const std::string& words) {
    const MqttServer server({});
    const Cable proxy({.to = server.port(), .answer = answer});
    Harness harness(server.port());
    use_proxy(harness, proxy.port());
    if (!login.empty()) {
      harness.options.proxy_login_file = harness.folder / "login";
      std::ofstream(harness.options.proxy_login_file) << login;
    }
    harness.start();
    EXPECT_TRUE(harness.wait_words("proxy 127.0.0.1:" + std::to_string(proxy.port()) + ": " + words,
                                   seconds(5)))
        << harness.reasons();
    EXPECT_EQ(server.connections(), 0);
  };
  const std::string want = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
  refused(want, "",
          "the proxy wants a user and a password (uplink.proxy_login_file) (HTTP/1.1 407");
  refused(want, "a:b", "the proxy does not accept our user and password (HTTP/1.1 407");
  refused("HTTP/1.1 403 Forbidden\r\n\r\n", "",
          "the proxy does not connect us to broker.example:1883 (HTTP/1.1 403 Forbidden)");
  refused("220 mail.example ESMTP\r\n\r\n", "",
          "that is no HTTP proxy: it answers \"220 mail.example ESMTP\"");
  refused("HTTP/1.1 403 " + std::string(10'000, 'x'), "", "that is no HTTP proxy: it answers");
}

TEST(UplinkProxy, ThatSaysNothingIsGivenUp) {
  const MqttServer server({});
  Cable proxy({.to = server.port(), .answer = kYes});
  proxy.set(Cable::Mode::Swallow);
  Harness harness(server.port());
  use_proxy(harness, proxy.port());
  harness.options.connect_timeout = milliseconds(300);
  harness.start();
  EXPECT_TRUE(harness.wait_words(": no answer in 300 ms")) << harness.reasons();
  const auto before = std::chrono::steady_clock::now();
  harness.uplink->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(700));
}

}  // namespace
}  // namespace fieldpost::test
