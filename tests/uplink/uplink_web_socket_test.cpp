// SPDX-License-Identifier: Apache-2.0
//
// What a WebSocket server may do that mosquitto never does, and what we say to it.
#include <gtest/gtest.h>

#include "fakes/web_socket_server.hpp"
#include "uplink/harness.hpp"

namespace fieldpost::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = UplinkStatus::State;
using Server = WebSocketServer;

const std::string kConnack{'\x20', '\x02', '\x00', '\x00'};

struct Rig {
  explicit Rig(Server::Behaviour behaviour) : server(std::move(behaviour)), harness(server.port()) {
    harness.broker().host = "localhost";
    harness.broker().web_socket_path = "/mqtt?x=1";
    harness.options.connect_timeout = seconds(2);
    harness.start();
  }
  Server server;
  Harness harness;
};

TEST(UplinkWebSocket, AsksForMqttInBinaryFrames) {
  const Rig rig({.frames = {{.payload = kConnack}}});
  ASSERT_TRUE(rig.harness.wait_state(State::Connected)) << rig.harness.reasons();
  const std::string request = rig.server.requests().front();
  EXPECT_TRUE(request.starts_with("GET /mqtt?x=1 HTTP/1.1\r\n")) << request;
  EXPECT_NE(request.find("Sec-WebSocket-Protocol: mqtt\r\n"), request.npos) << request;
  const std::string host = "Host: localhost:" + std::to_string(rig.server.port()) + "\r\n";
  EXPECT_NE(request.find(host), request.npos) << request;
  ASSERT_TRUE(eventually([&] { return rig.server.received().size() >= 2; }));  // and SUBSCRIBE
  for (const Server::Frame& frame : rig.server.received()) {
    EXPECT_EQ(frame.opcode, Server::kBinary);
    EXPECT_TRUE(frame.last);
  }
  EXPECT_EQ(rig.server.received().front().payload[0], '\x10');  // CONNECT
  EXPECT_TRUE(rig.server.all_masked());
}

TEST(UplinkWebSocket, TakesFramesHoweverTheyAreCut) {
  // A command, byte by byte, with pings and empty frames in between.
  const std::string topic = "losant/" + kGateway + "/command";
  std::string command{'\x30', static_cast<char>(2 + topic.size() + 2), '\x00',
                      static_cast<char>(topic.size())};
  command += topic + "{}";
  std::vector<Server::Frame> frames{{.payload = kConnack.substr(0, 1), .last = false},
                                    {.opcode = Server::kPing, .payload = "are you there"},
                                    {.opcode = Server::kMore, .payload = "", .last = false},
                                    {.opcode = Server::kMore, .payload = kConnack.substr(1)},
                                    {.payload = ""}};
  for (const char byte : command) frames.push_back({.payload = std::string(1, byte)});
  const Rig rig({.frames = frames});
  ASSERT_TRUE(eventually([&] { return rig.harness.received().size() == 1; }))
      << rig.harness.reasons();
  EXPECT_EQ(rig.harness.received().front().payload, "{}");
  EXPECT_TRUE(eventually([&] {
    for (const Server::Frame& frame : rig.server.received()) {
      if (frame.opcode == Server::kPong && frame.payload == "are you there") return true;
    }
    return false;
  }));
}

TEST(UplinkWebSocket, SaysWhatTheServerAnswered) {
  const auto refused = [](const std::string& answer, const std::string& words) {
    const Rig rig({.answer = answer});
    EXPECT_TRUE(rig.harness.wait_words("WebSocket with localhost: " + words, seconds(5)))
        << rig.harness.reasons();
    EXPECT_EQ(rig.harness.status().connections, 0);
  };
  refused("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
          "GET /mqtt?x=1 is answered with 404 Not Found; is the path in uplink.url right?");
  refused("HTTP/1.1 301 Moved\r\nLocation: https://h/\r\nContent-Length: 0\r\n\r\n",
          "GET /mqtt?x=1 is answered with 301 Moved, go to https://h/;");
  refused("SSH-2.0-OpenSSH_9.2\r\n\r\n", "the other side does not speak WebSocket");
  refused("HTTP/1.1 200 OK\r\nContent-Le", "the broker closed the connection");
}

TEST(UplinkWebSocket, RefusesOneThatIsNotForMqtt) {
  const Rig rig({.protocol = ""});
  EXPECT_TRUE(rig.harness.wait_words("no subprotocol mqtt")) << rig.harness.reasons();
}

TEST(UplinkWebSocket, EndsForWhatMqttForbids) {
  const auto ends = [](const std::vector<Server::Frame>& frames, const std::string& words) {
    const Rig rig({.frames = frames});
    EXPECT_TRUE(rig.harness.wait_words(words, seconds(5))) << rig.harness.reasons();
  };
  ends({{.opcode = Server::kText, .payload = "hello"}}, "the broker sent text where");
  ends({{.opcode = 3, .payload = "x"}}, "the broker broke the rules of WebSocket");
  ends({{.opcode = Server::kMore, .payload = "x"}}, "the broker broke the rules of WebSocket");
  ends({{.payload = kConnack}, {.payload = "\x30\xff\xff\xff\x7f"}},
       "the broker announced a packet of 268.4 MB");
  ends({{.payload = kConnack}, {.payload = std::string("\x30\x80\x80\x80\x80\x01", 6)}},
       "length is malformed");
}

TEST(UplinkWebSocket, SaysWhyTheServerClosedIt) {
  const Rig rig({.frames = {{.payload = kConnack},
                            {.opcode = Server::kClose, .payload = "\x03\xf0too much"}}});
  EXPECT_TRUE(
      rig.harness.wait_words("the broker closed the connection (WebSocket: 1008, too much)"))
      << rig.harness.reasons();
}

TEST(UplinkWebSocket, SaysGoodbye) {
  Rig rig({.frames = {{.payload = kConnack}}});
  ASSERT_TRUE(rig.harness.wait_state(State::Connected)) << rig.harness.reasons();
  rig.harness.uplink->stop(seconds(1));
  ASSERT_TRUE(eventually([&] {
    const auto received = rig.server.received();
    return !received.empty() && received.back().opcode == Server::kClose;
  }));
  const auto received = rig.server.received();
  EXPECT_EQ(received.back().payload, "\x03\xe8");                                // 1000, normal
  EXPECT_EQ(received[received.size() - 2].payload, std::string("\xe0\x00", 2));  // DISCONNECT
}

}  // namespace
}  // namespace fieldpost::test
