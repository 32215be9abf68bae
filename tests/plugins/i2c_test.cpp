// SPDX-License-Identifier: Apache-2.0
//
// The i2c plugin on a fake bus: what the bytes of real chips mean, by their datasheets, and what
// happens when a chip or the bus does not answer.
#include <gtest/gtest.h>

#include <cerrno>
#include <utility>

#include "fakes/fake_host.hpp"
#include "i2c_fake_bus.hpp"
#include "registers.hpp"

namespace {

using fieldpost::Value;
using fieldpost::fakes::FakeHost;
using fieldpost::fakes::Row;
using i2c::Field;
using i2c::fakes::world;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

double decode(const Field& field, std::initializer_list<uint8_t> bytes) {
  return i2c::to_number(field, i2c::count_of(field, i2c::to_word(field, bytes)));
}

// ---- Bytes. ----

// TI SBOS397, table "12-Bit Temperature Data Format": twelve bits, left-justified, 0.0625 degC.
TEST(I2cField, Tmp102) {
  const Field f{.bytes = 2, .mask = 0xFFF0, .shift = 4, .is_signed = true, .scale = 0.0625};
  EXPECT_EQ(decode(f, {0x7F, 0xF0}), 127.9375);
  EXPECT_EQ(decode(f, {0x64, 0x00}), 100);
  EXPECT_EQ(decode(f, {0x19, 0x00}), 25);
  EXPECT_EQ(decode(f, {0x00, 0x40}), 0.25);
  EXPECT_EQ(decode(f, {0x00, 0x00}), 0);
  EXPECT_EQ(decode(f, {0xFF, 0xC0}), -0.25);
  EXPECT_EQ(decode(f, {0xE7, 0x00}), -25);
  EXPECT_EQ(decode(f, {0xC9, 0x00}), -55);
}

// National LM75, table "Temperature Register": nine bits, left-justified, 0.5 degC; the rest is
// undefined.
TEST(I2cField, Lm75) {
  const Field f{.bytes = 2, .mask = 0xFF80, .shift = 7, .is_signed = true, .scale = 0.5};
  EXPECT_EQ(decode(f, {0x7D, 0x00}), 125);
  EXPECT_EQ(decode(f, {0x19, 0x7F}), 25);
  EXPECT_EQ(decode(f, {0x00, 0x80}), 0.5);
  EXPECT_EQ(decode(f, {0xFF, 0x80}), -0.5);
  EXPECT_EQ(decode(f, {0xE7, 0x00}), -25);
  EXPECT_EQ(decode(f, {0xC9, 0x00}), -55);
}

// Microchip DS25095A, figure "Reading +25.25 degC from the TA Register", and equation 5-1 for the
// negative one: three flags above thirteen bits.
TEST(I2cField, Mcp9808) {
  const Field f{.bytes = 2, .mask = 0x1FFF, .shift = 0, .is_signed = true, .scale = 0.0625};
  EXPECT_EQ(decode(f, {0xC1, 0x94}), 25.25);
  EXPECT_EQ(decode(f, {0x1F, 0x00}), -16);
}

TEST(I2cField, WidthsAndEndianness) {
  EXPECT_EQ(decode({.bytes = 1}, {0xFF}), 255);
  EXPECT_EQ(decode({.bytes = 1, .is_signed = true}, {0xFF}), -1);
  EXPECT_EQ(decode({.bytes = 2, .big_endian = false}, {0x34, 0x12}), 0x1234);
  EXPECT_EQ(decode({.bytes = 3}, {0x01, 0x02, 0x03}), 0x010203);
  EXPECT_EQ(decode({.bytes = 3, .is_signed = true}, {0xFF, 0xFF, 0xFE}), -2);
  EXPECT_EQ(decode({.bytes = 4}, {0xFF, 0xFF, 0xFF, 0xFF}), 4294967295.0);
  EXPECT_EQ(decode({.bytes = 4, .big_endian = false, .is_signed = true}, {0, 0, 0, 0x80}),
            -2147483648.0);
  EXPECT_EQ(decode({.bytes = 2, .scale = 0.1, .offset = -40, .decimals = 1}, {0x02, 0x9B}), 26.7);
}

TEST(I2cField, WhatIsEncodedDecodesToTheSame) {
  for (const bool is_signed : {false, true}) {
    for (const bool big : {false, true}) {
      const Field f{.bytes = 2,
                    .big_endian = big,
                    .mask = 0x3FF0,
                    .shift = 4,
                    .is_signed = is_signed,
                    .scale = 0.25,
                    .offset = -10};
      for (int64_t count = i2c::min_count(f); count <= i2c::max_count(f); ++count) {
        const uint32_t word = i2c::with_count(f, 0xC00F, count);
        EXPECT_EQ(word & 0xC00F, 0xC00Fu);
        EXPECT_EQ(i2c::count_of(f, word), count);
        EXPECT_EQ(i2c::to_count(f, i2c::to_number(f, count)), count);
        std::array<uint8_t, 2> bytes{};
        i2c::to_bytes(f, word, bytes);
        EXPECT_EQ(i2c::to_word(f, bytes), word);
      }
    }
  }
}

TEST(I2cBus, IsNamedByNumberOrPath) {
  EXPECT_EQ(i2c::bus_path("1"), "/dev/i2c-1");
  EXPECT_EQ(i2c::bus_path("/dev/i2c-7"), "/dev/i2c-7");
}

// ---- The plugin. ----

class I2cTest : public testing::Test {
 protected:
  void SetUp() override { world = {}; }
  void TearDown() override {
    if (host_ != nullptr) {
      EXPECT_TRUE(host_->refusals.empty()) << host_->trouble();
    }
  }
  void start(std::vector<Row> chips) {
    host_ = std::make_unique<FakeHost>(Row::Values{{"bus", std::string("1")}},
                                       Row::Tables{{"chip", std::move(chips)}});
    ASSERT_EQ(host_->open(), FP_OK) << host_->trouble();
  }
  // A thermometer at 0x48 (TMP102) and a port at 0x20 whose register 1 can be written.
  void start_two() {
    world.chips[0x48].registers = {{0, {0x19, 0x00}}, {3, {0x50, 0x00}}};
    world.chips[0x20].registers = {{1, {0xA5}}};
    start({Row({{"address", 0x48}}, {{"register",
                                      {Row{{"attribute", "temperature"},
                                           {"register", 0},
                                           {"width", 16},
                                           {"mask", 0xFFF0},
                                           {"signed", true},
                                           {"scale", 0.0625},
                                           {"unit", "degC"}},
                                       Row{{"attribute", "high_limit"},
                                           {"register", 3},
                                           {"width", 16},
                                           {"mask", 0xFFF0},
                                           {"signed", true},
                                           {"scale", 0.0625},
                                           {"command", "set-high-limit"}}}}}),
           Row({{"address", 0x20}}, {{"register",
                                      {Row{{"attribute", "level"},
                                           {"register", 1},
                                           {"mask", 0xF0},
                                           {"command", "set-level"}},
                                       Row{{"attribute", "alarm"},
                                           {"register", 1},
                                           {"mask", 0x01},
                                           {"type", "boolean"},
                                           {"command", "set-alarm"}}}}})});
  }
  std::unique_ptr<FakeHost> host_;
};

constexpr uint32_t kThermometer = 0, kPort = 1;

TEST_F(I2cTest, EachChipIsAUnitAndItsRegistersAreRead) {
  start_two();
  ASSERT_EQ(host_->poll(kThermometer), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->number("temperature", kThermometer), 25);
  EXPECT_EQ(host_->number("high_limit", kThermometer), 80);
  EXPECT_EQ(world.chips[0x20].transfers, 0);
  ASSERT_EQ(host_->poll(kPort), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->number("level", kPort), 10);
  EXPECT_EQ(host_->boolean("alarm", kPort), true);
  EXPECT_EQ(world.opened, 1);
}

TEST_F(I2cTest, ASilentChipSaysSoAndItsNeighbourIsRead) {
  start_two();
  world.chips.erase(0x48);
  EXPECT_EQ(host_->poll(kThermometer), FP_E_IO);
  EXPECT_EQ(host_->error,
            "i2c 1 chip 0x48 register 0x00: no acknowledge (Remote I/O error): is it wired and "
            "powered?");
  EXPECT_TRUE(host_->samples.empty());
  EXPECT_EQ(host_->poll(kPort), FP_OK) << host_->trouble();
}

TEST_F(I2cTest, OneSpikeIsRetriedAndASecondIsNot) {
  start_two();
  for (const int error : {EREMOTEIO, ENXIO, ETIMEDOUT, EAGAIN}) {
    world.chips[0x48].errors = {error};
    EXPECT_EQ(host_->poll(kThermometer), FP_OK) << host_->trouble();
    EXPECT_EQ(host_->latest("temperature")->quality, FP_GOOD);
  }
  world.chips[0x48].errors = {EREMOTEIO, EREMOTEIO};
  EXPECT_EQ(host_->poll(kThermometer), FP_OK);
  EXPECT_EQ(host_->latest("temperature")->quality, FP_COMM_ERROR);
  world.chips[0x48].errors = {EINVAL};
  EXPECT_EQ(host_->poll(kThermometer), FP_OK);
  EXPECT_EQ(host_->latest("temperature")->quality, FP_COMM_ERROR);
}

TEST_F(I2cTest, ARegisterThatFailsTakesNoOtherDown) {
  start_two();
  world.chips[0x48].registers.erase(0);
  ASSERT_EQ(host_->poll(kThermometer), FP_OK);
  const auto bad = host_->latest("temperature");
  EXPECT_EQ(bad->quality, FP_COMM_ERROR);
  EXPECT_TRUE(contains(bad->detail, "chip 0x48 register 0x00")) << bad->detail;
  EXPECT_EQ(host_->number("high_limit"), 80);
}

TEST_F(I2cTest, ABusThatIsHeldIsNotWaitedForByEveryRegister) {
  start_two();
  world.chips[0x48].errors = {ETIMEDOUT, ETIMEDOUT, ETIMEDOUT, ETIMEDOUT};
  EXPECT_EQ(host_->poll(kThermometer), FP_E_IO);
  EXPECT_EQ(world.chips[0x48].transfers, 2);  // one register, once again
  EXPECT_TRUE(contains(host_->error, "the bus is held")) << host_->error;
}

TEST_F(I2cTest, ABusThatIsNotThereIsLookedForAtEachPoll) {
  world.open_error = ENOENT;
  start_two();
  EXPECT_EQ(host_->poll(kThermometer), FP_E_IO);
  EXPECT_EQ(host_->error, "there is no /dev/i2c-1");
  world.open_error = 0;
  EXPECT_EQ(host_->poll(kThermometer), FP_OK) << host_->trouble();
  world.chips[0x48].errors = {ENODEV};  // unplugged, and in again
  EXPECT_EQ(host_->poll(kThermometer), FP_E_IO);
  EXPECT_EQ(host_->poll(kThermometer), FP_OK) << host_->trouble();
  EXPECT_EQ(world.opened, 2);
}

TEST_F(I2cTest, ACommandWritesAndAnswersWithWhatTheRegisterSays) {
  start_two();
  const auto outcome = host_->command("set-high-limit", {{"value", -12.5}}, kThermometer);
  EXPECT_EQ(outcome.status, FP_OK) << outcome.error;
  EXPECT_EQ(outcome.readback, Value(-12.5));
  EXPECT_EQ(world.chips[0x48].registers[3], (std::vector<uint8_t>{0xF3, 0x80}));
  EXPECT_EQ(host_->number("high_limit"), -12.5);
}

TEST_F(I2cTest, ACommandLeavesTheOtherBitsOfARegisterAlone) {
  start_two();
  EXPECT_EQ(host_->command("set-level", {{"value", 3.0}}, kPort).readback, Value(3.0));
  EXPECT_EQ(world.chips[0x20].registers[1], std::vector<uint8_t>{0x35});
  EXPECT_EQ(host_->command("set-alarm", {{"value", false}}, kPort).readback, Value(false));
  EXPECT_EQ(world.chips[0x20].registers[1], std::vector<uint8_t>{0x34});
}

// Which has another row of the register, and writes when it gets the bus.
TEST_F(I2cTest, ACommandKeepsWhatAnotherInstanceWrites) {
  start_two();
  auto& bits = world.chips[0x20].registers[1];
  world.when_unlocked = [&, first = true]() mutable {
    if (std::exchange(first, false)) bits[0] |= 0x02;
  };
  EXPECT_EQ(host_->command("set-level", {{"value", 3.0}}, kPort).status, FP_OK);
  EXPECT_EQ(bits[0], 0x37);
}

TEST_F(I2cTest, ABusThatIsLostWithinACommandIsOpenedAgain) {
  start_two();
  world.chips[0x20].errors = {0, ENODEV};  // read, and unplugged before the write
  EXPECT_EQ(host_->command("set-level", {{"value", 3.0}}, kPort).status, FP_E_IO);
  EXPECT_FALSE(world.locked);
  EXPECT_EQ(host_->command("set-level", {{"value", 3.0}}, kPort).status, FP_OK);
  EXPECT_EQ(world.opened, 2);
}

TEST_F(I2cTest, TheArgumentIsLimitedToWhatTheFieldHolds) {
  start_two();
  const auto& limit = host_->commands.at(0).args.at(0);
  EXPECT_EQ(limit.min, -128);
  EXPECT_EQ(limit.max, 127.9375);
  EXPECT_THROW((void)host_->command("set-level", {{"value", 16.0}}, kPort), std::invalid_argument);
}

TEST_F(I2cTest, AWriteThatDoesNotTakeFailsTheCommand) {
  start_two();
  world.chips[0x20].deaf = true;
  const auto outcome = host_->command("set-level", {{"value", 3.0}}, kPort);
  EXPECT_EQ(outcome.status, FP_E_IO);
  EXPECT_TRUE(contains(outcome.error, "was set to 3 but reads 10")) << outcome.error;
  EXPECT_EQ(host_->number("level", kPort), 10);
  world.chips.erase(0x20);
  EXPECT_EQ(host_->command("set-level", {{"value", 3.0}}, kPort).status, FP_E_IO);
}

struct BadRows {
  const char* name;
  Row::Tables rows;
  std::string option, text;
};

class I2cDeclare : public testing::TestWithParam<BadRows> {};

TEST_P(I2cDeclare, NamesTheProblem) {
  FakeHost host({{"bus", "1"}}, GetParam().rows);
  EXPECT_EQ(host.declare(), FP_E_INVALID);
  ASSERT_EQ(host.problems.size(), 1u) << host.trouble();
  EXPECT_EQ(host.problems[0].option, GetParam().option);
  EXPECT_TRUE(contains(host.problems[0].text, GetParam().text)) << host.trouble();
}

Row::Tables one(Row row) {
  return {{"chip", {Row({{"address", 0x48}}, {{"register", {std::move(row)}}})}}};
}

INSTANTIATE_TEST_SUITE_P(
    Rows, I2cDeclare,
    testing::Values(
        BadRows{"NoChip", {}, "", "[[plugin.chip]]"},
        BadRows{"NoRegister", {{"chip", {Row{{"address", 8}}}}}, "", "[[plugin.chip.register]]"},
        BadRows{
            "SameAddress",
            {{"chip",
              {Row({{"address", 8}}, {{"register", {Row{{"attribute", "a"}, {"register", 0}}}}}),
               Row({{"address", 8}}, {{"register", {Row{{"attribute", "a"}, {"register", 0}}}}})}}},
            "address",
            "has this address"},
        BadRows{"Width", one(Row{{"attribute", "a"}, {"register", 0}, {"width", 12}}), "width",
                "8, 16, 24 or 32"},
        BadRows{"MaskBeyondWidth", one(Row{{"attribute", "a"}, {"register", 0}, {"mask", 0x100}}),
                "mask", "bits of the width"},
        BadRows{"MaskWithHoles", one(Row{{"attribute", "a"}, {"register", 0}, {"mask", 0x5}}),
                "mask", "one run of bits"},
        BadRows{"ShiftTooFar", one(Row{{"attribute", "a"}, {"register", 0}, {"shift", 8}}), "shift",
                "nothing is left"},
        BadRows{"ScaleZero", one(Row{{"attribute", "a"}, {"register", 0}, {"scale", 0}}), "scale",
                "anything but 0"},
        BadRows{
            "SignedBoolean",
            one(Row{{"attribute", "a"}, {"register", 0}, {"type", "boolean"}, {"signed", true}}),
            "type", "neither sign"}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
