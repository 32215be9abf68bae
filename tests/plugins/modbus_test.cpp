// SPDX-License-Identifier: Apache-2.0
//
// What the Modbus plugin works out without a line: values, addresses, plans and requests.
#include <fieldpost/plugin.hpp>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <string>
#include <vector>

#include "../common/utf8.hpp"
#include "base/text.hpp"
#include "blocks.hpp"
#include "fakes/fake_host.hpp"
#include "registers.hpp"
#include "url.hpp"

namespace fieldpost::modbus {
namespace {

using fakes::FakeHost;
using fakes::Row;
using Words = std::vector<uint16_t>;
using Number = std::optional<double>;

// The number that the words mean; none when they mean something else, or nothing.
Number number(const Register& reg, const Words& words) {
  const auto value = decode(reg, words);
  if (!value) return {};
  if (const auto* flag = std::get_if<bool>(&*value)) return *flag ? 1 : 0;
  const auto* number = std::get_if<double>(&*value);
  return number != nullptr ? Number(*number) : std::nullopt;
}
// Why they mean nothing.
std::string why(const Register& reg, const Words& words) {
  const auto value = decode(reg, words);
  return value ? "they mean something" : value.error();
}

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
    EXPECT_EQ(number(reg, c.words), 123.456);
    EXPECT_EQ(encode(reg, 123.456), c.words);
    reg.type = Type::Uint32;
    EXPECT_EQ(number(reg, c.words), double{0x42F6E979});
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
    EXPECT_EQ(number(reg, c.words), c.value) << name_of(c.type);
    EXPECT_EQ(encode(reg, c.value), c.words) << name_of(c.type);
  }
}

TEST(ModbusRegisters, WhatDoesNotFitIsRefusedNotWrapped) {
  EXPECT_FALSE(encode({.type = Type::Uint16}, 65536.0));
  EXPECT_FALSE(encode({.type = Type::Uint16}, -1.0));
  EXPECT_FALSE(encode({.type = Type::Int16}, 32768.0));
  EXPECT_FALSE(encode({.type = Type::Int32}, 2147483648.0));
  EXPECT_FALSE(encode({.type = Type::Uint32}, 4294967296.0));
  EXPECT_FALSE(encode({.type = Type::Float32}, 1e39));
  EXPECT_FALSE(encode({.type = Type::Uint16, .scale = 0.1}, 6553.6));
  EXPECT_TRUE(encode({.type = Type::Uint16, .scale = 0.1}, 6553.5));
}

TEST(ModbusRegisters, ScaledValuesAreCleanDecimals) {
  EXPECT_EQ(number({.type = Type::Int16, .scale = 0.1}, Words{237}), 23.7);
  EXPECT_EQ(number({.type = Type::Int16, .scale = 0.001}, Words{3}), 0.003);
  EXPECT_EQ(number({.type = Type::Uint16, .scale = 10, .offset = -5}, Words{7}), 65);
  EXPECT_EQ(number({.type = Type::Uint16, .scale = 0.37, .decimals = 1}, Words{10}), 3.7);
  EXPECT_EQ(encode({.type = Type::Int16, .scale = 0.1}, 23.7), Words{237});
  EXPECT_EQ(encode({.type = Type::Int16, .scale = -2, .offset = 1}, 5.0), Words{0xFFFE});
}

TEST(ModbusRegisters, FloatsReadAsTheyAreWritten) {
  const float f = 21.6F;
  const auto bits = std::bit_cast<uint32_t>(f);
  const Words words{static_cast<uint16_t>(bits >> 16), static_cast<uint16_t>(bits)};
  EXPECT_EQ(number({.type = Type::Float32}, words), 21.6);
}

TEST(ModbusRegisters, AFloatThatIsNoNumberIsNoValue) {
  EXPECT_EQ(why({.type = Type::Float32}, Words{0x7FC0, 0}), "is not a number");
  EXPECT_EQ(why({.type = Type::Float32}, Words{0x7F80, 0}), "is not a number");
}

TEST(ModbusRegisters, ABitLeavesItsNeighboursAlone) {
  const Register reg{.type = Type::Bit, .bit = 3};
  EXPECT_EQ(number(reg, Words{0x0008}), 1);
  EXPECT_EQ(number(reg, Words{0xFFF7}), 0);
  EXPECT_EQ(encode(reg, true, Words{0x8001}), Words{0x8009});
  EXPECT_EQ(encode(reg, false, Words{0xFFFF}), Words{0xFFF7});
}

TEST(ModbusRegisters, EveryOrderOfEightBytes) {
  // 1234.5678 is 40 93 4A 45 6D 5C FA AD.
  struct Case {
    bool low_word, low_byte;
    Words words;
  };
  for (const Case& c : {Case{false, false, {0x4093, 0x4A45, 0x6D5C, 0xFAAD}},
                        Case{true, false, {0xFAAD, 0x6D5C, 0x4A45, 0x4093}},
                        Case{false, true, {0x9340, 0x454A, 0x5C6D, 0xADFA}},
                        Case{true, true, {0xADFA, 0x5C6D, 0x454A, 0x9340}}}) {
    Register reg{.type = Type::Float64, .low_word_first = c.low_word, .low_byte_first = c.low_byte};
    EXPECT_EQ(number(reg, c.words), 1234.5678);
    EXPECT_EQ(encode(reg, 1234.5678), c.words);
  }
  for (const bool low_word : {false, true}) {
    for (const bool low_byte : {false, true}) {
      for (const Type type : {Type::Int64, Type::Uint64, Type::Bcd32}) {
        const Register reg{.type = type, .low_word_first = low_word, .low_byte_first = low_byte};
        const auto words = encode(reg, 12345678.0);
        ASSERT_TRUE(words) << name_of(type);
        EXPECT_EQ(words->size(), reg.width());
        EXPECT_EQ(number(reg, *words), 12345678) << name_of(type);
      }
    }
  }
}

// A double holds every whole number up to 2^53, and every other one after that.
TEST(ModbusRegisters, AWholeNumberThatADoubleWouldChangeIsNoValue) {
  const Register u{.type = Type::Uint64};
  const Register i{.type = Type::Int64};
  EXPECT_EQ(number(u, {0x0020, 0, 0, 0}), 9007199254740992.0);
  EXPECT_EQ(number(i, {0xFFE0, 0, 0, 0}), -9007199254740992.0);
  EXPECT_EQ(number(i, {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE}), -2);
  EXPECT_EQ(why(u, {0x0020, 0, 0, 1}),
            "is 9007199254740993, beyond the 2^53 up to which whole numbers are exact");
  EXPECT_TRUE(why(i, {0xFFDF, 0xFFFF, 0xFFFF, 0xFFFF}).starts_with("is -9007199254740993, "));
  EXPECT_TRUE(why(i, {0x8000, 0, 0, 0}).starts_with("is -9223372036854775808, "));
  EXPECT_TRUE(why(u, {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF}).starts_with("is 18446744073709551615, "));
  EXPECT_FALSE(encode(u, 9007199254740994.0));
  EXPECT_FALSE(encode(i, -9007199254740994.0));
  EXPECT_EQ(encode(i, -9007199254740992.0), (Words{0xFFE0, 0, 0, 0}));
  EXPECT_EQ(range_of(u).max, 9007199254740992.0);
  EXPECT_EQ(range_of(i).min, -9007199254740992.0);
}

TEST(ModbusRegisters, BytesOfARegister) {
  const Register low{.type = Type::Uint8}, high{.type = Type::Int8, .bit = 8};
  EXPECT_EQ(number(low, {0x80FF}), 255);
  EXPECT_EQ(number(high, {0x80FF}), -128);
  EXPECT_EQ(encode(low, 1.0, Words{0xAAAA}), Words{0xAA01});
  EXPECT_EQ(encode(high, -2.0, Words{0xAAAA}), Words{0xFEAA});
  EXPECT_FALSE(encode(low, 256.0, Words{0}));
  EXPECT_FALSE(encode(high, 128.0, Words{0}));
  EXPECT_EQ(number({.type = Type::Uint8, .low_byte_first = true}, {0x1234}), 0x12);
}

TEST(ModbusRegisters, FieldsOfBits) {
  EXPECT_EQ(number({.type = Type::Uint16, .bit = 4, .bits = 3}, {0x00F0}), 7);
  EXPECT_EQ(number({.type = Type::Int16, .bit = 4, .bits = 3}, {0x00F0}), -1);
  EXPECT_EQ(number({.type = Type::Uint32, .bit = 12, .bits = 8}, {0x0009, 0xA000}), 0x9A);
  EXPECT_EQ(number({.type = Type::Uint64, .bit = 1, .bits = 63}, {0, 0, 0, 0x000B}), 5);
  EXPECT_EQ(number({.type = Type::Uint16, .bits = 4, .scale = 0.1}, {0xFFF9}), 0.9);
  const Register field{.type = Type::Uint32, .bit = 12, .bits = 8};
  EXPECT_EQ(encode(field, 255.0, Words{0, 0}), (Words{0x000F, 0xF000}));
  EXPECT_EQ(encode(field, 0.0, Words{0xFFFF, 0xFFFF}), (Words{0xFFF0, 0x0FFF}));
  EXPECT_FALSE(encode(field, 256.0, Words{0, 0}));
  const Register negative{.type = Type::Int16, .bit = 4, .bits = 3};
  EXPECT_EQ(encode(negative, -4.0, Words{0xFFFF}), Words{0xFFCF});
  EXPECT_FALSE(encode(negative, -5.0, Words{0xFFFF}));
}

TEST(ModbusRegisters, DecimalDigits) {
  EXPECT_EQ(number({.type = Type::Bcd16}, {0x1234}), 1234);
  EXPECT_EQ(number({.type = Type::Bcd32, .scale = 0.01}, {0x1234, 0x5678}), 123456.78);
  EXPECT_EQ(encode({.type = Type::Bcd16}, 9999.0), Words{0x9999});
  EXPECT_EQ(encode({.type = Type::Bcd32}, 12345678.0), (Words{0x1234, 0x5678}));
  EXPECT_FALSE(encode({.type = Type::Bcd16}, 10000.0));
  EXPECT_FALSE(encode({.type = Type::Bcd16}, -1.0));
  for (int digit = 0; digit < 4; ++digit) {
    EXPECT_EQ(number({.type = Type::Bcd16}, {static_cast<uint16_t>(0xA << 4 * digit)}), Number());
  }
  EXPECT_EQ(why({.type = Type::Bcd16}, {0x12A4}), "is 0x12A4, no BCD number");
  EXPECT_EQ(why({.type = Type::Bcd32}, {0xFFFF, 0x0001}), "is 0xFFFF0001, no BCD number");
}

TEST(ModbusRegisters, Text) {
  const auto text = [](const Register& reg, const Words& words) {
    const auto value = decode(reg, words);
    return value ? *std::get_if<std::string>(&*value) : "no text: " + value.error();
  };
  const Register reg{.type = Type::String, .length = 4};
  EXPECT_EQ(text(reg, {0x4142, 0x4344, 0x4546, 0x4748}), "ABCDEFGH");
  EXPECT_EQ(text(reg, {0x4142, 0x4300, 0x5858, 0x5858}), "ABC");
  EXPECT_EQ(text(reg, {0x2041, 0x2042, 0x2020, 0x2020}), " A B");
  EXPECT_EQ(text(reg, {0, 0, 0, 0}), "");
  EXPECT_EQ(text(reg, {0x2020, 0x2020, 0x2020, 0x2020}), "");
  EXPECT_EQ(text(reg, {0x3231, 0xC2B0, 0x4300, 0}), "21°C");
  EXPECT_EQ(text(reg, {0x3231, 0xB043, 0, 0}), "no text: is not UTF-8 text: 32 31 B0 43");
  EXPECT_EQ(text(reg, {0x4142, 0x43C2, 0, 0}), "no text: is not UTF-8 text: 41 42 43 C2");
  const Register swapped{.type = Type::String, .length = 2, .low_byte_first = true};
  EXPECT_EQ(text(swapped, {0x4241, 0x0043}), "ABC");
  EXPECT_EQ(encode(swapped, std::string("ABC")), (Words{0x4241, 0x0043}));
  EXPECT_EQ(encode(reg, std::string("ABCDEFGH")), (Words{0x4142, 0x4344, 0x4546, 0x4748}));
  EXPECT_FALSE(encode(reg, std::string("ABCDEFGHI")));
}

// The plugin's own test of UTF-8 agrees with the gateway's, which refuses what fails it.
TEST(ModbusRegisters, WhatIsUtf8) {
  // Bytes at which something changes, in every combination of four.
  constexpr std::array<unsigned char, 18> kBytes = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90,
                                                    0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xE0,
                                                    0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF};
  size_t good = 0;
  for (size_t i = 0; i < kBytes.size() * kBytes.size() * kBytes.size() * kBytes.size(); ++i) {
    std::string text;
    for (size_t rest = i; text.size() < 4; rest /= kBytes.size()) {
      text += static_cast<char>(kBytes.at(rest % kBytes.size()));
    }
    good += plugin_common::is_utf8(text) ? 1 : 0;
    ASSERT_EQ(plugin_common::is_utf8(text), fieldpost::is_utf8(text)) << i;
  }
  EXPECT_GT(good, 300U);
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
  EXPECT_EQ(rtu.line, Line::Serial);
  const Endpoint converter = parse_url("rtu+tcp://[::1]:4001?baud=19200&parity=E");
  EXPECT_EQ(converter.line, Line::RtuOverTcp);
  EXPECT_EQ(converter.name(), "rtu+tcp://[::1]:4001");
  EXPECT_EQ(converter.baud, 19200);
  EXPECT_EQ(parse_url("rtu+tcp://box:4001").port, 4001);
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
  EXPECT_NE(refusal("rtu+tcp://box").find("the port of the converter"), std::string::npos);
  EXPECT_NE(refusal("rtu+tcp://[::1]").find("the port of the converter"), std::string::npos);
  EXPECT_NE(refusal("rtu+tcp://box:4001?speed=9600").find("'speed'"), std::string::npos);
  EXPECT_NE(refusal("tcp://box:502?baud=9600").find("'502?baud=9600'"), std::string::npos);
  EXPECT_NE(refusal("rtu://dev/ttyS0").find("three slashes"), std::string::npos);
  EXPECT_NE(refusal("rtu:///dev/ttyS0?baud=9601").find("9601"), std::string::npos);
  EXPECT_NE(refusal("rtu:///dev/ttyS0?parity=n").find("N, E or O"), std::string::npos);
  EXPECT_NE(refusal("rtu:///dev/ttyS0?bits=7").find("'bits'"), std::string::npos);
}

// ---- Plans.

Row reg(const char* attribute, const char* table, int address,
        const std::vector<Row::Pair>& more = {}) {
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
            "address: a float32 takes 2 registers, and 65535 is the last one");
  EXPECT_EQ(problem_of(reg("a", "coil", 1, {{"type", "float32"}})),
            "type: a coil is a bool, not a float32");
  EXPECT_EQ(problem_of(reg("a", "input", 1, {{"command", "set"}})),
            "command: a value of the table input cannot be written");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"type", "bit"}})),
            "type: type bit needs the option bit, 0 to 15");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"bit", 3}})),
            "bit: needs bits too, how many from there on; for one bit there is type bit");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"bit", 12}, {"bits", 5}})),
            "bits: a uint16 has no bit 16");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"type", "bit"}, {"bit", 16}})),
            "bit: a register has bits 0 to 15");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"type", "int8"}, {"bit", 4}})),
            "bit: expected 0, the low byte, or 8, the high one");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"type", "float32"}, {"bit", 4}})),
            "bit: a float32 takes none");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"type", "bcd16"}, {"bits", 4}})),
            "bits: only whole numbers of 16 to 64 bits take it");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"type", "string"}})),
            "type: a string needs the option length, in registers");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"length", 2}})),
            "length: only type string takes it, and this is a uint16");
  EXPECT_EQ(problem_of(reg("a", "holding", 65530, {{"type", "string"}, {"length", 7}})),
            "address: a string takes 7 registers, and 65535 is the last one");
  EXPECT_EQ(problem_of(reg("a", "holding", 1,
                           {{"type", "string"}, {"length", 2}, {"word_order", "little"}})),
            "word_order: a string has none, its characters are in order");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"type", "string"}, {"length", 2}, {"scale", 2}})),
            "scale: a string has none");
  EXPECT_EQ(problem_of(reg("a", "holding", 65533, {{"type", "float64"}})),
            "address: a float64 takes 4 registers, and 65535 is the last one");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"word_order", "little"}})),
            "word_order: a uint16 has only one word");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"scale", 0}})), "scale: must not be 0");
  EXPECT_EQ(problem_of(reg("a", "coil", 1, {{"scale", 2}})), "scale: a boolean has none");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"command", "set"}, {"write_max", 70000}})),
            "write_max: the register cannot hold it");
  EXPECT_EQ(problem_of(reg("a", "holding", 1, {{"write_max", 7}})),
            "write_max: needs the option command");
}

TEST(ModbusPlan, AValueFitsIntoARequest) {
  FakeHost host({{"url", "tcp://plc"}, {"max_registers", 3}},
                {{"register",
                  {reg("a", "holding", 0, {{"type", "float32"}}),
                   reg("b", "holding", 2, {{"type", "float64"}})}}});
  EXPECT_EQ(host.declare(), FP_E_INVALID);
  ASSERT_EQ(host.problems.size(), 1U) << host.trouble();
  EXPECT_EQ(host.problems[0].text,
            "a float64 of 4 registers is more than max_registers, what one request may read");
}

TEST(ModbusPlan, AValueIsWrittenByOneRequest) {
  const Row wide = reg("a", "holding", 0, {{"type", "float32"}, {"command", "a"}});
  const Row narrow = reg("b", "holding", 2, {{"command", "b"}});
  FakeHost single({{"url", "tcp://plc"}, {"write_function", "single"}},
                  {{"register", {wide, narrow}}});
  EXPECT_EQ(single.declare(), FP_E_INVALID);
  ASSERT_EQ(single.problems.size(), 1U) << single.trouble();
  EXPECT_EQ(single.problems[0].index, 0U);
  EXPECT_TRUE(single.problems[0].text.starts_with("writes 2 registers, and")) << single.trouble();
  FakeHost both({{"url", "tcp://plc"}, {"write_function", "multiple"}},
                {{"register", {wide, narrow}}});
  EXPECT_EQ(both.declare(), FP_OK) << both.trouble();
  EXPECT_EQ(
      problem_of(reg("c", "holding", 0, {{"type", "string"}, {"length", 124}, {"command", "c"}})),
      "command: one request writes 123 registers at most");
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
                   reg("alarm", "input", 7, {{"type", "bit"}, {"bit", 15}}),
                   reg("name", "holding", 20,
                       {{"type", "string"}, {"length", 8}, {"command", "set-name"}})}}});
  ASSERT_EQ(host.declare(), FP_OK) << host.trouble();
  ASSERT_EQ(host.attributes.size(), 5U);
  EXPECT_EQ(host.attributes[0].type, FP_BOOLEAN);
  EXPECT_EQ(host.attributes[1].type, FP_NUMBER);
  EXPECT_EQ(host.attributes[3].type, FP_BOOLEAN);
  EXPECT_EQ(host.attributes[4].type, FP_STRING);
  ASSERT_EQ(host.commands.size(), 3U);
  EXPECT_EQ(host.commands[2].args.at(0).type, OptionType::Text);
  EXPECT_EQ(host.commands[0].args.at(0).type, OptionType::Boolean);
  EXPECT_EQ(host.commands[1].output, "unit 255 holding 10");
  EXPECT_EQ(host.commands[1].readback, "level");
  EXPECT_EQ(host.commands[1].args.at(0).min, 0);
  EXPECT_EQ(host.commands[1].args.at(0).max, 6553.5);
}

// Two instances on one line would be two masters.
// The host is killed at its deadline: a unit that is off must not take the others with it.
TEST(ModbusPlan, WhatCannotEndBeforeTheDeadlineIsAProblem) {
  const Row::Tables far_apart{{"register", {reg("a", "holding", 1), reg("b", "holding", 1000)}}};
  const auto problem = [&](const Row& options, std::chrono::seconds deadline) -> std::string {
    FakeHost host(options, *fp_plugin_get());
    host.set_deadline(deadline);
    (void)host.declare();
    if (host.problems.empty()) return "none";
    return host.problems[0].table + " " + host.problems[0].option + ": " + host.problems[0].text;
  };
  using std::chrono::seconds;
  const Row slow({{"url", "tcp://plc"}, {"timeout", "6s"}}, far_apart);
  EXPECT_EQ(problem(slow, seconds(10)),
            " timeout: a poll of unit 1 may take 14 s, of which its requests and their pauses are "
            "0 s, and the instance's deadline is 10 s, at which its process is replaced: make this "
            "shorter or that longer");
  EXPECT_EQ(problem(slow, seconds(14)), "none");
  const Row paused({{"url", "tcp://plc"}, {"request_pause", "4s"}}, far_apart);
  EXPECT_NE(problem(paused, seconds(10)).find(" request_pause: "), std::string::npos);
  EXPECT_EQ(problem(paused, seconds(20)), "none");
  const Row far({{"url", "tcp://plc"}, {"connect_timeout", "10s"}}, far_apart);
  EXPECT_NE(problem(far, seconds(10)).find(" connect_timeout: "), std::string::npos);
  const Row own({{"url", "tcp://plc"}},
                {{"unit", {Row({{"address", 3}, {"timeout", "6s"}}, far_apart)}}});
  EXPECT_NE(problem(own, seconds(10)).find("unit timeout: a poll of unit 3"), std::string::npos);
}

TEST(ModbusPlan, TheUrlIsForOneInstanceOnly) {
  const fp_plugin& plugin = *fp_plugin_get();
  for (size_t i = 0; i < plugin.n_options; ++i) {
    const fp_option& option = plugin.options[i];
    EXPECT_EQ((option.flags & FP_OPT_EXCLUSIVE) != 0, std::string_view(option.name) == "url");
  }
}

}  // namespace
}  // namespace fieldpost::modbus
