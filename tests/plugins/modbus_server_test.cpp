// SPDX-License-Identifier: Apache-2.0
//
// The Modbus plugin over TCP, against a server that nobody here wrote: Debian's pymodbus.
#include "fakes/modbus_server.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "modbus_rows.hpp"

namespace fieldpost::modbus_test {
namespace {

using fakes::ModbusServer;

TEST(ModbusTcp, ReadsAllTablesAndTypes) {
  ModbusServer server({"--do", "set 1 coil 3 1", "--do", "set 1 discrete 4 1", "--do",
                       "set 1 input 5 65535", "--do", "float 1 holding 100 21.6", "--do",
                       "set 1 holding 102 0xE979 0x42F6 237 0x8000"});
  FakeHost host({{"url", server.url()}},
                {{"register",
                  {reg("coil", "coil", 3), reg("off", "coil", 2), reg("discrete", "discrete", 4),
                   reg("input", "input", 5, {{"type", "int16"}}),
                   reg("float", "holding", 100, {{"type", "float32"}}),
                   reg("swapped", "holding", 102, {{"type", "float32"}, {"word_order", "little"}}),
                   reg("scaled", "holding", 104, {{"scale", 0.1}}),
                   reg("bit", "holding", 105, {{"type", "bit"}, {"bit", 15}}),
                   reg("int", "holding", 104, {{"type", "int32"}})}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.samples.size(), 1U);
  EXPECT_EQ(host.boolean("coil"), true);
  EXPECT_EQ(host.boolean("off"), false);
  EXPECT_EQ(host.boolean("discrete"), true);
  EXPECT_EQ(host.number("input"), -1);
  EXPECT_EQ(host.number("float"), 21.6);
  EXPECT_EQ(host.number("swapped"), 123.456);
  EXPECT_EQ(host.number("scaled"), 23.7);
  EXPECT_EQ(host.boolean("bit"), true);
  EXPECT_EQ(host.number("int"), 237 * 65536 + 32768);
  EXPECT_EQ(server.tell("log"), "1:1:2+2 1:2:4+1 1:4:5+1 1:3:100+6");
  EXPECT_TRUE(host.refusals.empty()) << host.trouble();
}

TEST(ModbusTcp, ReadsAndWritesTheLargerTypes) {
  ModbusServer server({"--do", "set 1 holding 10 0x4093 0x4A45 0x6D5C 0xFAAD", "--do",
                       "set 1 holding 14 0xFFFF 0xFFFF 0xFFFF 0xFFFE", "--do",
                       "set 1 holding 18 0x0020 0 0 1", "--do",
                       "set 1 holding 22 0x4D2D 0x3720 0x2000 0xFFFF", "--do",
                       "set 1 holding 26 0x1234 0x12A4 0xB041 0x80F7"});
  FakeHost host(
      {{"url", server.url()}},
      {{"register",
        {reg("f64", "holding", 10, {{"type", "float64"}, {"command", "f64"}}),
         reg("i64", "holding", 14, {{"type", "int64"}, {"command", "i64"}}),
         reg("large", "holding", 18, {{"type", "uint64"}}),
         reg("text", "holding", 22, {{"type", "string"}, {"length", 4}, {"command", "text"}}),
         reg("bcd", "holding", 26, {{"type", "bcd16"}}),
         reg("no-bcd", "holding", 27, {{"type", "bcd16"}}),
         reg("no-text", "holding", 28, {{"type", "string"}, {"length", 1}}),
         reg("high", "holding", 29, {{"type", "int8"}, {"bit", 8}}),
         reg("field", "holding", 29,
             {{"type", "uint16"}, {"bit", 4}, {"bits", 4}, {"command", "field"}})}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_TRUE(host.refusals.empty()) << host.trouble();
  EXPECT_EQ(server.tell("log"), "1:3:10+20");
  EXPECT_EQ(host.number("f64"), 1234.5678);
  EXPECT_EQ(host.number("i64"), -2);
  EXPECT_EQ(host.text("text"), "M-7");
  EXPECT_EQ(host.number("bcd"), 1234);
  EXPECT_EQ(host.number("high"), -128);
  EXPECT_EQ(host.number("field"), 15);
  for (const auto& [name, detail] :
       {std::pair{"large",
                  "unit 1 holding 18 is 9007199254740993, beyond the 2^53 up to which "
                  "whole numbers are exact"},
        {"no-bcd", "unit 1 holding 27 is 0x12A4, no BCD number"},
        {"no-text", "unit 1 holding 28 is not UTF-8 text: B0 41"}}) {
    EXPECT_EQ(host.latest(name)->quality, FP_OUT_OF_RANGE) << name;
    EXPECT_EQ(host.latest(name)->detail, detail);
  }
  EXPECT_EQ(host.command("f64", {{"value", 0.1}}).readback, Value(0.1));
  EXPECT_EQ(host.command("i64", {{"value", -9e15}}).readback, Value(-9e15));
  EXPECT_EQ(host.command("text", {{"value", std::string("OK")}}).readback,
            Value(std::string("OK")));
  EXPECT_EQ(server.tell("get 1 holding 22 4"), std::to_string(0x4F4B) + " 0 0 0");
  EXPECT_EQ(host.command("field", {{"value", 5.0}}).readback, Value(5.0));
  EXPECT_EQ(server.tell("get 1 holding 29"), std::to_string(0x8057));
  const auto long_text = host.command("text", {{"value", std::string("123456789")}});
  EXPECT_EQ(long_text.status, FP_E_INVALID);
  EXPECT_EQ(long_text.error,
            "unit 1 holding 22: the value does not fit into 4 registers of string");
}

TEST(ModbusTcp, ARefusedRegisterIsNamedAndItsNeighboursAreRead) {
  ModbusServer server({"--units", "3", "--do", "except 3 holding 107 2"});
  FakeHost host({{"url", server.url()}}, {{"unit", {unit(3, run_of(100, 20))}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
    for (int r = 0; r < 20; ++r) {
      EXPECT_EQ(host.number("r" + std::to_string(r)), r == 7 ? std::nullopt : std::optional(0.0));
    }
    const auto bad = host.latest("r7");
    ASSERT_TRUE(bad);
    EXPECT_EQ(bad->quality, FP_COMM_ERROR);
    EXPECT_EQ(bad->detail, "unit 3 holding 107: exception 2 (illegal data address)");
  }
  server.tell("log");
  ASSERT_EQ(host.poll(), FP_OK);
  EXPECT_EQ(server.tell("log"), "3:3:100+7 3:3:108+12");
}

TEST(ModbusTcp, SmallHolesAreReadAlongUnlessTheUnitRefusesThem) {
  ModbusServer server({"--do", "except 1 holding 12 2", "--do", "set 1 holding 20 1 2 3"});
  FakeHost host({{"url", server.url()}},
                {{"register",
                  {reg("a", "holding", 0), reg("b", "holding", 9), reg("c", "holding", 14),
                   reg("d", "holding", 20), reg("e", "holding", 22)}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  for (int i = 0; i < 3; ++i) {
    server.tell("log");
    ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
    for (const char* name : {"a", "b", "c", "d", "e"}) EXPECT_TRUE(host.number(name)) << name;
  }
  EXPECT_EQ(server.tell("log"), "1:3:0+10 1:3:14+9");
  EXPECT_EQ(host.number("e"), 3);
}

TEST(ModbusTcp, AUnitSaysHowMuchOneRequestMayRead) {
  ModbusServer server({"--units", "1,2"});
  Row narrow = unit(1, run_of(0, 20));
  narrow.values.insert({{"max_registers", 8.0}, {"max_gap", 0.0}});
  FakeHost host({{"url", server.url()}, {"max_gap", 2}},
                {{"unit",
                  {narrow, unit(2, {reg("a", "holding", 0), reg("b", "holding", 3),
                                    reg("c", "holding", 7)})}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(0), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(1), FP_OK) << host.trouble();
  EXPECT_EQ(server.tell("log"), "1:3:0+8 1:3:8+8 1:3:16+4 2:3:0+4 2:3:7+1");
}

TEST(ModbusTcp, ADeviceThatIsOffAtTheStartIsFoundLater) {
  std::string port;
  {
    const ModbusServer server({});
    port = server.port();
  }
  FakeHost host({{"url", "tcp://127.0.0.1:" + port}}, {{"register", {reg("a", "holding", 0)}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(host.poll(), FP_E_IO);
  EXPECT_EQ(host.error, "tcp://127.0.0.1:" + port + ": Connection refused");
  EXPECT_TRUE(host.samples.empty());
  const ModbusServer server({"--port", port, "--do", "set 1 holding 0 7"});
  EXPECT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("a"), 7);
}

TEST(ModbusTcp, RecoversWhenTheServerIsKilledAndBack) {
  auto server =
      std::make_optional<ModbusServer>(std::vector<std::string>{"--do", "set 1 holding 0 7"});
  const std::string port = server->port();
  FakeHost host({{"url", server->url()}}, {{"register", {reg("a", "holding", 0)}}});
  ASSERT_EQ(host.open(), FP_OK);
  ASSERT_EQ(host.poll(), FP_OK);
  server.reset();
  EXPECT_EQ(host.poll(), FP_E_IO);
  EXPECT_EQ(host.poll(), FP_E_IO);
  server.emplace(std::vector<std::string>{"--port", port, "--do", "set 1 holding 0 8"});
  EXPECT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("a"), 8);
}

// A server that drops idle connections costs no poll.
TEST(ModbusTcp, AConnectionThatWasClosedMeanwhileIsReplaced) {
  ModbusServer server({});
  FakeHost host({{"url", server.url()}}, {{"register", {reg("a", "holding", 0)}}});
  ASSERT_EQ(host.open(), FP_OK);
  ASSERT_EQ(host.poll(), FP_OK);
  for (int i = 0; i < 20; ++i) {
    server.tell("hangup");
    ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  }
}

TEST(ModbusTcp, ASilentUnitIsAnErrorThatNamesItAndOthersAreRead) {
  ModbusServer server({"--units", "1,2", "--do", "set 2 holding 0 9", "--do", "silent 1 on"});
  FakeHost host({{"url", server.url()}, {"timeout", "100ms"}},
                {{"unit", {unit(1, {reg("a", "holding", 0)}), unit(2, {reg("b", "holding", 0)})}}});
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_EQ(host.poll(0), FP_E_IO);
  EXPECT_EQ(host.error, "unit 1: no answer within 100 ms");
  EXPECT_EQ(host.poll(1), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("b", 1), 9);
  EXPECT_FALSE(host.latest("a", 0));
  server.tell("silent 1 off");
  EXPECT_EQ(host.poll(0), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("a", 0), 0);
}

// A unit known to be silent costs one time-out per poll, however many requests it would take.
TEST(ModbusTcp, ASilentUnitCostsOneTimeout) {
  ModbusServer server({"--do", "silent 1 on"});
  FakeHost host({{"url", server.url()}, {"timeout", "200ms"}},
                {{"register",
                  {reg("a", "holding", 0), reg("b", "holding", 10), reg("c", "holding", 20),
                   reg("d", "input", 0), reg("e", "coil", 0)}}});
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_LT(duration_of([&] { EXPECT_EQ(host.poll(), FP_E_IO); }), milliseconds(595));
  EXPECT_LT(duration_of([&] { EXPECT_EQ(host.poll(), FP_E_IO); }), milliseconds(395));
}

// libmodbus#255: an answer after its time-out must not become the answer to the next request. The
// requests differ in nothing but the address, and one register counts its reads, so that an answer
// taken for another shows as a wrong value.
TEST(ModbusTcp, ALateAnswerIsNeverTakenForTheNextOne) {
  ModbusServer server({"--do", "count 1 holding 0", "--do", "set 1 holding 9 40000"});
  FakeHost host({{"url", server.url()}, {"timeout", "100ms"}},
                {{"register", {reg("a", "holding", 0), reg("b", "holding", 9)}}});
  ASSERT_EQ(host.open(), FP_OK);
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  for (int i = 0; i < 8; ++i) {
    // Now and then the second answer is late too, so that the first comes while it is waited for.
    server.tell(i % 2 == 0 ? "delay 1 0.15 1" : "delay 1 0.15 2");
    host.poll();
    if (i % 2 == 0) {
      ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
      ASSERT_TRUE(host.number("a")) << host.latest("a")->detail;
    }
    ASSERT_TRUE(eventually([&] { return host.poll() == FP_OK && host.number("a"); }));
    EXPECT_EQ(host.number("a"), std::stod(server.tell("get 1 holding 0")));
    ASSERT_TRUE(always(host, "b", 40000));
  }
}

TEST(ModbusTcp, AGatewayThatCannotReachTheUnitMeansThatTheUnitIsSilent) {
  ModbusServer server({"--units", "7", "--do", "except 7 holding 1 11"});
  FakeHost host({{"url", server.url()}, {"unit", 7}}, {{"register", run_of(0, 3)}});
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_EQ(host.poll(), FP_E_IO);
  EXPECT_EQ(host.error, "unit 7: exception 11 (gateway target does not answer)");
}

TEST(ModbusTcp, NamesWhatCannotBeReached) {
  FakeHost host({{"url", "tcp://no-such-host.invalid"}}, {{"register", {reg("a", "coil", 0)}}});
  ASSERT_EQ(host.open(), FP_OK);
  EXPECT_EQ(host.poll(), FP_E_IO);
  EXPECT_TRUE(host.error.starts_with("tcp://no-such-host.invalid:502: ")) << host.error;
  EXPECT_EQ(host.error.find("refused"), std::string::npos) << host.error;
}

TEST(ModbusTcp, SpeaksIpv6) {
  std::optional<ModbusServer> server;
  try {
    server.emplace(std::vector<std::string>{"--host", "::1", "--do", "set 1 holding 0 6"});
  } catch (const std::runtime_error& e) {
    GTEST_SKIP() << "no IPv6 here: " << e.what();
  }
  FakeHost host({{"url", "tcp://[::1]:" + server->port()}},
                {{"register", {reg("a", "holding", 0)}}});
  ASSERT_EQ(host.open(), FP_OK);
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("a"), 6);
}

TEST(ModbusTcp, WritesAndReadsBack) {
  ModbusServer server({"--do", "set 1 holding 5 0xFF00"});
  FakeHost host(
      {{"url", server.url()}},
      {{"register",
        {reg("coil", "coil", 1, {{"command", "switch"}}),
         reg("level", "holding", 2, {{"scale", 0.1}, {"command", "level"}, {"write_max", 100}}),
         reg("set", "holding", 3,
             {{"type", "float32"}, {"word_order", "little"}, {"command", "set"}}),
         reg("flag", "holding", 5, {{"type", "bit"}, {"bit", 0}, {"command", "flag"}})}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(host.command("switch", {{"value", true}}).readback, Value(true));
  EXPECT_EQ(server.tell("get 1 coil 1"), "1");
  EXPECT_EQ(host.command("level", {{"value", 23.74}}).readback, Value(23.7));
  EXPECT_EQ(server.tell("get 1 holding 2"), "237");
  EXPECT_EQ(host.command("set", {{"value", 123.456}}).readback, Value(123.456));
  EXPECT_EQ(server.tell("get 1 holding 3 2"),
            std::to_string(0xE979) + " " + std::to_string(0x42F6));
  EXPECT_EQ(host.command("flag", {{"value", true}}).readback, Value(true));
  EXPECT_EQ(server.tell("get 1 holding 5"), std::to_string(0xFF01));
  EXPECT_THROW(host.command("level", {{"value", 101.0}}), std::invalid_argument);
}

TEST(ModbusTcp, AWriteThatFailsSaysSo) {
  ModbusServer server({"--do", "except 1 holding 2 2", "--do", "except 1 holding 3 4"});
  FakeHost host(
      {{"url", server.url()}, {"timeout", "100ms"}},
      {{"register",
        {reg("a", "holding", 2, {{"command", "a"}}), reg("b", "holding", 3, {{"command", "b"}}),
         reg("c", "holding", 4, {{"command", "c"}})}}});
  ASSERT_EQ(host.open(), FP_OK);
  const auto a = host.command("a", {{"value", 1.0}});
  EXPECT_EQ(a.status, FP_E_INVALID);
  EXPECT_EQ(a.error, "unit 1 holding 2: exception 2 (illegal data address)");
  EXPECT_EQ(host.command("b", {{"value", 1.0}}).status, FP_E_IO);
  server.tell("silent 1 on");
  const auto c = host.command("c", {{"value", 1.0}});
  EXPECT_EQ(c.status, FP_E_UNCERTAIN);
  EXPECT_EQ(c.error, "unit 1 holding 4: no answer within 100 ms; it may have been written");
  EXPECT_FALSE(c.readback);
  server.stop();
  EXPECT_EQ(host.command("c", {{"value", 1.0}}).status, FP_E_IO) << "nothing has left";
}

TEST(ModbusTcp, AWriteWhoseConnectionWasClosedMayHaveHappened) {
  ModbusServer server({"--do", "silent 1 on"});
  FakeHost host({{"url", server.url()}, {"timeout", "4s"}},
                {{"register", {reg("a", "holding", 4, {{"command", "a"}})}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  std::thread cable([&] {
    (void)eventually([&] { return server.tell("log").find("1:6:4") != std::string::npos; });
    server.tell("hangup");
  });
  const auto outcome = host.command("a", {{"value", 1.0}});
  cable.join();
  EXPECT_EQ(outcome.status, FP_E_UNCERTAIN);
  EXPECT_EQ(outcome.error, "unit 1 holding 4: " + server.url() +
                               ": the connection was closed by the other side; it may have been "
                               "written");
}

TEST(ModbusTcp, AWriteThatAGatewayHeardNothingOfMayHaveHappened) {
  ModbusServer server({"--do", "except 1 holding 4 11", "--do", "except 1 holding 5 10"});
  FakeHost host(
      {{"url", server.url()}},
      {{"register",
        {reg("a", "holding", 4, {{"command", "a"}}), reg("b", "holding", 5, {{"command", "b"}})}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(host.command("a", {{"value", 1.0}}).status, FP_E_UNCERTAIN);
  EXPECT_EQ(host.command("b", {{"value", 1.0}}).status, FP_E_IO) << "it has no way to the unit";
}

TEST(ModbusTcp, EveryExceptionIsSaidInWords) {
  constexpr std::array<const char*, 9> kWords = {"exception 1 (illegal function)",
                                                 "exception 2 (illegal data address)",
                                                 "exception 3 (illegal value)",
                                                 "exception 4 (device failure)",
                                                 "exception 5 (acknowledge)",
                                                 "exception 6 (device busy)",
                                                 "exception 7 (negative acknowledge)",
                                                 "exception 8 (memory parity error)",
                                                 "exception 9"};
  ModbusServer server({});
  std::vector<Row> rows{reg("good", "holding", 1000)};
  for (int code = 1; code <= 9; ++code) {
    rows.push_back(reg("r" + std::to_string(code), "holding", 100 * code));
    server.tell("except 1 holding " + std::to_string(100 * code) + " " + std::to_string(code));
  }
  FakeHost host({{"url", server.url()}}, {{"register", rows}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("good"), 0);
  for (int code = 1; code <= 9; ++code) {
    const auto bad = host.latest("r" + std::to_string(code));
    ASSERT_TRUE(bad) << code;
    EXPECT_EQ(bad->quality, FP_COMM_ERROR);
    EXPECT_EQ(bad->detail, "unit 1 holding " + std::to_string(100 * code) + ": " +
                               kWords.at(static_cast<size_t>(code) - 1));
  }
}

TEST(ModbusTcp, ABusyUnitIsAskedAgain) {
  ModbusServer server({"--do", "set 1 holding 0 7"});
  FakeHost host({{"url", server.url()}},
                {{"register", {reg("a", "holding", 0, {{"command", "a"}})}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  for (const char* code : {"5", "6"}) {
    server.tell("log");
    server.tell("except 1 holding 0 " + std::string(code) + " 3");
    ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
    EXPECT_EQ(host.number("a"), 7);
    EXPECT_EQ(server.tell("log"), "1:3:0+1 1:3:0+1 1:3:0+1 1:3:0+1");
  }
  // It is not waited for longer.
  server.tell("except 1 holding 0 6 4");
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.latest("a")->detail, "unit 1 holding 0: exception 6 (device busy)");
  server.tell("log");
  server.tell("except 1 holding 0 6 3");
  EXPECT_EQ(host.command("a", {{"value", 8.0}}).readback, Value(8.0));
  EXPECT_EQ(server.tell("log"), "1:6:0+1 1:6:0+1 1:6:0+1 1:6:0+1 1:3:0+1");
}

// Exception 5 means that it has been accepted: written again, it could happen twice.
TEST(ModbusTcp, AnAcknowledgedWriteIsNotRepeated) {
  ModbusServer server({"--do", "except 1 holding 0 5 1"});
  FakeHost host({{"url", server.url()}},
                {{"register", {reg("a", "holding", 0, {{"command", "a"}})}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(host.command("a", {{"value", 8.0}}).status, FP_OK);
  EXPECT_EQ(server.tell("log"), "1:6:0+1 1:3:0+1");
}

TEST(ModbusTcp, TheFunctionThatWritesCanBeChosen) {
  ModbusServer server({"--units", "1,2,3"});
  const auto rows = [](int address, const char* function) {
    Row row = unit(address, {reg("coil", "coil", 1, {{"command", "coil"}}),
                             reg("one", "holding", 2, {{"command", "one"}}),
                             reg("two", "holding", 4, {{"type", "int32"}, {"command", "two"}})});
    row.values["write_function"] = std::string(function);
    if (std::string_view(function) == "single") row.rows["register"].pop_back();
    return row;
  };
  FakeHost host({{"url", server.url()}},
                {{"unit", {rows(1, "auto"), rows(2, "single"), rows(3, "multiple")}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  constexpr std::array<const char*, 3> kLogs = {
      "1:5:1+1 1:1:1+1 1:6:2+1 1:3:2+1 1:16:4+2 1:3:4+2", "2:5:1+1 2:1:1+1 2:6:2+1 2:3:2+1",
      "3:15:1+1 3:1:1+1 3:16:2+1 3:3:2+1 3:16:4+2 3:3:4+2"};
  for (unsigned u = 0; u < 3; ++u) {
    EXPECT_EQ(host.command("coil", {{"value", true}}, u).readback, Value(true));
    EXPECT_EQ(host.command("one", {{"value", 7.0}}, u).readback, Value(7.0));
    if (u != 1) {
      EXPECT_EQ(host.command("two", {{"value", 70000.0}}, u).readback, Value(70000.0));
    }
    EXPECT_EQ(server.tell("log"), kLogs.at(u));
  }
}

TEST(ModbusTcp, PausesBetweenRequestsWhereThatIsAskedFor) {
  ModbusServer server({});
  FakeHost host(
      {{"url", server.url()}, {"request_pause", "50ms"}, {"max_gap", 0}},
      {{"register", {reg("a", "holding", 0), reg("b", "holding", 2), reg("c", "holding", 4)}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_GE(duration_of([&] { EXPECT_EQ(host.poll(), FP_OK); }), milliseconds(100));
}

}  // namespace
}  // namespace fieldpost::modbus_test
