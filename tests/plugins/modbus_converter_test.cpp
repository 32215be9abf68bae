// SPDX-License-Identifier: Apache-2.0
//
// The Modbus plugin with RTU over TCP, as converters speak it, against Debian's pymodbus behind a
// cable.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fakes/cable.hpp"
#include "fakes/loopback.hpp"
#include "fakes/modbus_server.hpp"
#include "fakes/rtu_peer.hpp"
#include "modbus_rows.hpp"

namespace fieldpost::modbus_test {
namespace {

using fakes::ModbusServer;

using test::Cable;

class ModbusConverter : public testing::Test {
 protected:
  // Two units behind the converter; others do not answer.
  std::vector<std::string> args(const std::string& port = "0") const {
    std::vector<std::string> all{"--rtu", "--port", port, "--units", "3,4"};
    for (const char* c : {"count 3 holding 0", "count 4 holding 0", "set 3 holding 9 40000"}) {
      all.insert(all.end(), {"--do", c});
    }
    return all;
  }
  ModbusConverter() { server.emplace(args()); }
  static std::string url(const std::string& port) {
    return "rtu+tcp://127.0.0.1:" + port + "?baud=19200";
  }
  static Row::Tables units() {
    Row silent = unit(5, {reg("nobody", "holding", 0)});
    silent.values["timeout"] = std::string("200ms");
    return {{"unit",
             {unit(3, {reg("a", "holding", 0, {{"command", "write"}}), reg("c", "holding", 9)}),
              unit(4, {reg("b", "holding", 0)}), silent}}};
  }
  std::optional<ModbusServer> server;
};

TEST_F(ModbusConverter, ReadsAndWritesUnitsOfOneLine) {
  FakeHost host({{"url", url(server->port())}, {"timeout", "5s"}, {"max_gap", 0}}, units());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  for (int i = 1; i <= 5; ++i) {
    ASSERT_EQ(host.poll(0), FP_OK) << host.trouble();
    ASSERT_EQ(host.poll(1), FP_OK) << host.trouble();
    EXPECT_EQ(host.number("a", 0), i);
    EXPECT_EQ(host.number("b", 1), i);
  }
  EXPECT_EQ(host.command("write", {{"value", 7.0}}, 0).status, FP_OK);
  server->tell("except 3 holding 9 2");
  ASSERT_EQ(host.poll(0), FP_OK) << host.trouble();
  EXPECT_EQ(host.latest("c", 0)->detail, "unit 3 holding 9: exception 2 (illegal data address)");
}

// A unit that is off costs its own time-outs, and the others no connection.
TEST_F(ModbusConverter, ASilentUnitLeavesTheOthersAlone) {
  Cable cable({.to = static_cast<uint16_t>(std::stoi(server->port()))});
  FakeHost host({{"url", url(std::to_string(cable.port()))}, {"timeout", "5s"}}, units());
  ASSERT_EQ(host.open(), FP_OK);
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(host.poll(2), FP_E_IO);
    EXPECT_EQ(host.error, "unit 5: no answer within 200 ms");
    ASSERT_EQ(host.poll(1), FP_OK) << host.trouble();
    EXPECT_EQ(host.number("b", 1), i);
  }
  EXPECT_EQ(cable.connections(), 1);
}

TEST_F(ModbusConverter, ALateAnswerIsNeverTakenForTheNextOne) {
  Cable cable({.to = static_cast<uint16_t>(std::stoi(server->port()))});
  FakeHost host({{"url", url(std::to_string(cable.port()))}, {"timeout", "400ms"}, {"max_gap", 0}},
                units());
  ASSERT_EQ(host.open(), FP_OK);
  expect_no_late_answer_taken(host, *server, 4);
  EXPECT_EQ(cable.connections(), 1);
}

TEST_F(ModbusConverter, RecoversWhenTheConverterIsStartedAnew) {
  const std::string port = server->port();
  FakeHost host({{"url", url(port)}, {"timeout", "5s"}}, units());
  ASSERT_EQ(host.open(), FP_OK);
  ASSERT_EQ(host.poll(1), FP_OK) << host.trouble();
  for (int i = 0; i < 20; ++i) {
    server->tell("hangup");
    ASSERT_EQ(host.poll(1), FP_OK) << host.trouble();
  }
  server.reset();
  EXPECT_EQ(host.poll(1), FP_E_IO);
  EXPECT_EQ(host.error, "rtu+tcp://127.0.0.1:" + port + ": Connection refused");
  server.emplace(args(port));
  EXPECT_EQ(host.poll(1), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("b", 1), 1);
}

// A connection that is dead without a word is replaced; also one that says so only when it is
// written to.
TEST_F(ModbusConverter, ACableThatWasPulledAndIsBack) {
  Cable cable({.to = static_cast<uint16_t>(std::stoi(server->port()))});
  FakeHost host({{"url", url(std::to_string(cable.port()))}, {"timeout", "500ms"}}, units());
  ASSERT_EQ(host.open(), FP_OK);
  ASSERT_EQ(host.poll(1), FP_OK) << host.trouble();
  cable.set(Cable::Mode::Swallow);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(host.poll(1), FP_E_IO);
  cable.set(Cable::Mode::Forward);
  EXPECT_TRUE(eventually([&] { return host.poll(1) == FP_OK; })) << host.trouble();
  EXPECT_GE(cable.connections(), 2);
  for (int i = 0; i < 3; ++i) {
    cable.set(Cable::Mode::Gone);
    (void)host.poll(1);
    (void)host.command("write", {{"value", 7.0}}, 0);
    cable.set(Cable::Mode::Forward);
    EXPECT_TRUE(eventually([&] { return host.poll(1) == FP_OK; })) << host.trouble();
  }
  EXPECT_EQ(host.number("b", 1), std::stod(server->tell("get 4 holding 0")));
}

// A converter behind which each register holds 7, with a fault.
class FaultyConverter {
 public:
  enum class Fault : uint8_t { Quits, Chatters };
  explicit FaultyConverter(Fault fault)
      : fault_(fault),
        listener_(test::listen_at_loopback(false, port_)),
        thread_([this] { run(); }) {}
  ~FaultyConverter() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string port() const { return std::to_string(port_); }
  int connections() const { return connections_; }

 private:
  void run() {
    for (;; ++connections_) {
      const UniqueFd line(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!line) return;
      while (answer(line.get())) {
      }
    }
  }
  bool answer(int line) const {
    fakes::Frame request(8);
    if (recv(line, request.data(), request.size(), MSG_WAITALL) != 8) return false;
    fakes::Frame answer = request[1] == 6 ? request : fakes::registers(request, 7);
    if (fault_ == Fault::Chatters) answer.push_back(0xFF);
    (void)!write(line, answer.data(), answer.size());
    if (fault_ == Fault::Chatters) return true;
    shutdown(line, SHUT_WR);  // FIN, and RST when it is closed
    const linger reset{1, 0};
    setsockopt(line, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    return false;
  }
  Fault fault_;
  uint16_t port_ = 0;
  UniqueFd listener_;
  std::atomic<int> connections_ = 0;  // that are over
  std::thread thread_;
};

// libmodbus writes RTU frames without MSG_NOSIGNAL: SIGPIPE would end the process. The time between
// two frames at 1,200 baud is time enough for the other side to be gone before the second.
TEST(ModbusFaultyConverter, ThatIsGoneDoesNotEndTheProcess) {
  const FaultyConverter peer(FaultyConverter::Fault::Quits);
  FakeHost host({{"url", "rtu+tcp://127.0.0.1:" + peer.port() + "?baud=1200"}, {"max_gap", 0}},
                {{"register", {reg("a", "holding", 0), reg("b", "holding", 2)}}});
  ASSERT_EQ(host.open(), FP_OK);
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("a"), 7);
  EXPECT_EQ(host.number("b"), 7);
}

// As an open line does: what comes unasked is passed over, and is no reason for a new connection.
TEST(ModbusFaultyConverter, ThatChattersKeepsItsConnection) {
  const FaultyConverter peer(FaultyConverter::Fault::Chatters);
  FakeHost host({{"url", "rtu+tcp://127.0.0.1:" + peer.port()}},
                {{"register", {reg("a", "holding", 0, {{"command", "a"}})}}});
  ASSERT_EQ(host.open(), FP_OK);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(host.command("a", {{"value", 7.0}}).readback, Value(7.0)) << host.trouble();
  }
  EXPECT_EQ(peer.connections(), 0);
}

}  // namespace
}  // namespace fieldpost::modbus_test
