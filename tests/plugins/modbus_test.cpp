// SPDX-License-Identifier: Apache-2.0
//
// What the Modbus plugin works out without a line: values, addresses, plans and requests.
#include <fieldpost/plugin.hpp>
#include <gtest/gtest.h>

#include <bit>
#include <string>
#include <vector>

#include "blocks.hpp"
#include "fakes/fake_host.hpp"
#include "registers.hpp"
#include "url.hpp"

namespace fieldpost::modbus {
namespace {

using fakes::FakeHost;
using fakes::Row;
using Words = std::vector<uint16_t>;

// ---- Registers.

TEST(ModbusRegisters, EveryOrderOfTheSameBytes) {
  // 123.456f is 42 F6 E9 79.
  struct Case {
    bool low_word, low_byte;
    Words words;
  };
  for (const Case& c : {Case{false, false, {0x42F6, 0xE979}}, Case{true, false, {0xE979, 0x42F6}},
                        Case{false, true, {0xF642, 0x79E9}}, Case{true, true, {0x79E9, 0xF642}}}) {
    Register reg{.type = Type::Float32, .low_word_first = c.low_word, .low_byte_first = c.low_byte};
    EXPECT_EQ(decode(reg, c.words), 123.456);
    EXPECT_EQ(encode(reg, 123.456), c.words);
    reg.type = Type::Uint32;
    EXPECT_EQ(decode(reg, c.words), double{0x42F6E979});
    EXPECT_EQ(encode(reg, double{0x42F6E979}), c.words);
  }
}

TEST(ModbusRegisters, SignsAndLimits) {
  struct Case {
    Type type;
    double value;
    Words words;
  };
  for (const Case& c : std::initializer_list<Case>{{Type::Int16, -1, {0xFFFF}},
                                                   {Type::Int16, -32768, {0x8000}},
                                                   {Type::Uint16, 65535, {0xFFFF}},
                                                   {Type::Int32, -2, {0xFFFF, 0xFFFE}},
                                                   {Type::Int32, -2147483648.0, {0x8000, 0}},
                                                   {Type::Uint32, 4294967295.0, {0xFFFF, 0xFFFF}},
                                                   {Type::Float32, -0.5, {0xBF00, 0}}}) {
    const Register reg{.type = c.type};
    EXPECT_EQ(decode(reg, c.words), c.value) << name_of(c.type);
    EXPECT_EQ(encode(reg, c.value), c.words) << name_of(c.type);
  }
}

TEST(ModbusRegisters, WhatDoesNotFitIsRefusedNotWrapped) {
  EXPECT_FALSE(encode({.type = Type::Uint16}, 65536));
  EXPECT_FALSE(encode({.type = Type::Uint16}, -1));
  EXPECT_FALSE(encode({.type = Type::Int16}, 32768));
  EXPECT_FALSE(encode({.type = Type::Int32}, 2147483648.0));
  EXPECT_FALSE(encode({.type = Type::Uint32}, 4294967296.0));
  EXPECT_FALSE(encode({.type = Type::Float32}, 1e39));
  EXPECT_FALSE(encode({.type = Type::Uint16, .scale = 0.1}, 6553.6));
  EXPECT_TRUE(encode({.type = Type::Uint16, .scale = 0.1}, 6553.5));
}

TEST(ModbusRegisters, ScaledValuesAreCleanDecimals) {
  EXPECT_EQ(decode({.type = Type::Int16, .scale = 0.1}, Words{237}), 23.7);
  EXPECT_EQ(decode({.type = Type::Int16, .scale = 0.001}, Words{3}), 0.003);
  EXPECT_EQ(decode({.type = Type::Uint16, .scale = 10, .offset = -5}, Words{7}), 65);
  EXPECT_EQ(decode({.type = Type::Uint16, .scale = 0.37, .decimals = 1}, Words{10}), 3.7);
  EXPECT_EQ(encode({.type = Type::Int16, .scale = 0.1}, 23.7), Words{237});
  EXPECT_EQ(encode({.type = Type::Int16, .scale = -2, .offset = 1}, 5), Words{0xFFFE});
}

TEST(ModbusRegisters, FloatsReadAsTheyAreWritten) {
  const float f = 21.6F;
  const auto bits = std::bit_cast<uint32_t>(f);
  const Words words{static_cast<uint16_t>(bits >> 16), static_cast<uint16_t>(bits)};
  EXPECT_EQ(decode({.type = Type::Float32}, words), 21.6);
}

TEST(ModbusRegisters, AFloatThatIsNoNumberIsNoValue) {
  EXPECT_FALSE(decode({.type = Type::Float32}, Words{0x7FC0, 0}));
  EXPECT_FALSE(decode({.type = Type::Float32}, Words{0x7F80, 0}));
}

TEST(ModbusRegisters, ABitLeavesItsNeighboursAlone) {
  const Register reg{.type = Type::Bit, .bit = 3};
  EXPECT_EQ(decode(reg, Words{0x0008}), 1);
  EXPECT_EQ(decode(reg, Words{0xFFF7}), 0);
  EXPECT_EQ(encode(reg, 1, 0x8001), Words{0x8009});
  EXPECT_EQ(encode(reg, 0, 0xFFFF), Words{0xFFF7});
}

// ---- URLs.

TEST(ModbusUrl, FormsThatAreTaken) {
  EXPECT_EQ(parse_url("tcp://plc").name(), "tcp://plc:502");
  EXPECT_EQ(parse_url("tcp://192.168.1.20:1502").name(), "tcp://192.168.1.20:1502");
  EXPECT_EQ(parse_url("tcp://[::1]:502").host, "::1");
  EXPECT_EQ(parse_url("tcp://[fe80::1%eth0]").name(), "tcp://[fe80::1%eth0]:502");
  const Endpoint rtu = parse_url("rtu:///dev/serial/by-id/x?baud=19200&parity=E&stop=2");
  EXPECT_EQ(rtu.device, "/dev/serial/by-id/x");
  EXPECT_EQ(rtu.baud, 19200);
  EXPECT_EQ(rtu.parity, 'E');
  EXPECT_EQ(rtu.stop, 2);
  EXPECT_EQ(rtu.bits_per_byte(), 12);
}

TEST(ModbusUrl, OthersAreRefusedWithWhatWasExpected) {
  const auto refusal = [](const char* url) -> std::string {
    try {
      (void)parse_url(url);
    } catch (const sdk::ConfigError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(refusal("192.168.1.20").find("expected tcp://"), std::string::npos);
  EXPECT_NE(refusal("tcp://::1:502").find("brackets"), std::string::npos);
  EXPECT_NE(refusal("tcp://[::1").find("']'"), std::string::npos);
  EXPECT_NE(refusal("tcp://plc:0").find("1 to 65535"), std::string::npos);
  EXPECT_NE(refusal("tcp://plc:502x").find("'502x'"), std::string::npos);
  EXPECT_NE(refusal("tcp://").find("HOST"), std::string::npos);
  EXPECT_NE(refusal("rtu://dev/ttyS0").find("three slashes"), std::string::npos);
  EXPECT_NE(refusal("rtu:///dev/ttyS0?baud=9601").find("9601"), std::string::npos);
  EXPECT_NE(refusal("rtu:///dev/ttyS0?parity=n").find("N, E or O"), std::string::npos);
  EXPECT_NE(refusal("rtu:///dev/ttyS0?bits=7").find("'bits'"), std::string::npos);
}

// ---- Plans.

Row reg(const char* attribute, const char* table, int address, std::vector<Row::Pair> more = {}) {
  Row row{{"attribute", attribute}, {"table", table}, {"address", address}};
  for (const Row::Pair& p : more) row.values[p.name] = p.value;
  return row;
}

// The one problem of a configuration with this register row, as "option: text".
std::string problem_of(const Row& row) {
  FakeHost host({{"url", "tcp://plc"}}, {{"register", {row}}});
  EXPECT_EQ(host.declare(), FP_E_INVALID);
  EXPECT_EQ(host.problems.size(), 1U) << host.trouble();
  if (host.problems.empty()) return "";
  EXPECT_EQ(host.problems[0].table, "register");
  return host.problems[0].option + ": " + host.problems[0].text;
}

TEST(ModbusPlan, ProblemsNameTheOption) {
  EXPECT_EQ(problem_of(reg("a", "holding", 65535, {{"type", "float32"}})),
            "address: a float32 takes two registers, and 65535 is the last one");
  EXPECT_EQ(problem_of(reg("a", "coil", 1, {{"type", "float32"}})),
            "type: a coil is a bool, not a float32");
  EXPECT_EQ(problem_of(reg("a", "input", 1, {{"command", "set"}})),
            "command: a value of the table input cannot be written");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"type", "bit"}})),
            "type: type bit needs the option bit, 0 to 15");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"bit", 3}})),
            "bit: only type bit takes it, and this is a uint16");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"word_order", "little"}})),
            "word_order: a uint16 has only one word");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"scale", 0}})), "scale: must not be 0");
  EXPECT_EQ(problem_of(reg("a", "coil", 1, {{"scale", 2}})), "scale: a boolean has none");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"command", "set"}, {"write_max", 70000}})),
            "write_max: the register cannot hold it");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"write_max", 7}})),
            "write_max: needs the option command");
}

TEST(ModbusPlan, ProblemsOfUnits) {
  const auto unit = [](int address) {
    return Row({{"address", address}}, {{"register", {reg("a", "holding", 1)}}});
  };
  FakeHost twice({{"url", "rtu:///dev/ttyS0"}}, {{"unit", {unit(3), unit(4), unit(3), unit(0)}}});
  EXPECT_EQ(twice.declare(), FP_E_INVALID);
  ASSERT_EQ(twice.problems.size(), 2U) << twice.trouble();
  EXPECT_EQ(twice.problems[0].index, 2U);
  EXPECT_EQ(twice.problems[0].text, "another unit has the address 3 too");
  EXPECT_EQ(twice.problems[1].text, "expected 1 to 247 on a serial line, got 0");

  FakeHost stray({{"url", "tcp://plc"}},
                 {{"unit", {unit(3)}}, {"register", {reg("b", "holding", 1)}}});
  EXPECT_EQ(stray.declare(), FP_E_INVALID);
  ASSERT_EQ(stray.problems.size(), 1U);
  EXPECT_NE(stray.problems[0].text.find("belongs to no unit"), std::string::npos);

  FakeHost empty({{"url", "tcp://plc"}});
  EXPECT_EQ(empty.declare(), FP_E_INVALID);
  FakeHost wrong({{"url", "plc"}}, {{"register", {reg("a", "coil", 1)}}});
  EXPECT_EQ(wrong.declare(), FP_E_INVALID);
  EXPECT_EQ(wrong.problems.at(0).option, "url");
}

TEST(ModbusPlan, DeclaresTypesAndCommandsWithTheirLimits) {
  FakeHost host({{"url", "tcp://plc"}, {"unit", 255}},
                {{"register",
                  {reg("on", "coil", 0, {{"command", "switch"}}),
                   reg("level", "holding", 10, {{"scale", 0.1}, {"command", "set-level"}}),
                   reg("level-again", "holding", 10),  // overlapping is fine
                   reg("alarm", "input", 7, {{"type", "bit"}, {"bit", 15}})}}});
  ASSERT_EQ(host.declare(), FP_OK) << host.trouble();
  ASSERT_EQ(host.attributes.size(), 4U);
  EXPECT_EQ(host.attributes[0].type, FP_BOOLEAN);
  EXPECT_EQ(host.attributes[1].type, FP_NUMBER);
  EXPECT_EQ(host.attributes[3].type, FP_BOOLEAN);
  ASSERT_EQ(host.commands.size(), 2U);
  EXPECT_EQ(host.commands[0].args.at(0).type, OptionType::Boolean);
  EXPECT_EQ(host.commands[1].output, "unit 255 holding 10");
  EXPECT_EQ(host.commands[1].readback, "level");
  EXPECT_EQ(host.commands[1].args.at(0).min, 0);
  EXPECT_EQ(host.commands[1].args.at(0).max, 6553.5);
}

// Two instances on one line would be two masters.
TEST(ModbusPlan, TheUrlIsForOneInstanceOnly) {
  const fp_plugin& plugin = *fp_plugin_get();
  for (size_t i = 0; i < plugin.n_options; ++i) {
    const fp_option& option = plugin.options[i];
    EXPECT_EQ((option.flags & FP_OPT_EXCLUSIVE) != 0, std::string_view(option.name) == "url");
  }
}

}  // namespace
}  // namespace fieldpost::modbus
