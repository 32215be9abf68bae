// SPDX-License-Identifier: Apache-2.0
//
// Chips with a driver, on a fake bus: the examples of their datasheets, and what is said when they
// answer nonsense. They are configured by the profiles that are installed.
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cmath>

#include "chips/bme280.hpp"
#include "chips/sht.hpp"
#include "i2c_fake_bus.hpp"
#include "plugins/profile_row.hpp"

namespace {

using fieldpost::Value;
using fieldpost::fakes::FakeHost;
using fieldpost::fakes::profile_row;
using fieldpost::fakes::Row;
using i2c::fakes::Bytes;
using i2c::fakes::Memory;
using i2c::fakes::world;

constexpr uint8_t kAddress = 0x40;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class I2cChips : public testing::Test {
 protected:
  void SetUp() override { world = {}; }
  void TearDown() override {
    EXPECT_EQ(world.unlocked_transfers, 0);
    if (host_ != nullptr) {
      EXPECT_TRUE(host_->refusals.empty()) << host_->trouble();
    }
  }
  void start(Row chip) {
    host_ = std::make_unique<FakeHost>(Row::Values{{"bus", std::string("1")}},
                                       Row::Tables{{"chip", {std::move(chip)}}});
    ASSERT_EQ(host_->open(), FP_OK) << host_->trouble();
  }
  void start(const std::string& profile) {
    start(profile_row("i2c", profile, {{"address", int{kAddress}}}));
  }
  // Nothing came of a poll but this.
  void expect_error(const std::string& part) {
    const size_t samples = host_->samples.size();
    EXPECT_EQ(host_->poll(), FP_E_IO);
    EXPECT_TRUE(contains(host_->error, part)) << host_->error;
    EXPECT_TRUE(contains(host_->error, "i2c 1 chip 0x40")) << host_->error;
    EXPECT_EQ(host_->samples.size(), samples);
  }
  std::unique_ptr<FakeHost> host_;
};

// ---- BME280, BMP280.

// BST-BMP280-DS001, 3.12: its calibration, raw numbers, and results.
i2c::bme280::Calibration example() {
  return {.t1 = 27504,
          .t2 = 26435,
          .t3 = -1000,
          .p1 = 36477,
          .p2 = -10685,
          .p3 = 3024,
          .p4 = 2855,
          .p5 = 140,
          .p6 = -7,
          .p7 = 15500,
          .p8 = -14600,
          .p9 = 6000};
}
constexpr int32_t kRawTemperature = 519888, kRawPressure = 415148;

Bytes to_bytes(const i2c::bme280::Calibration& c) {
  Bytes bytes;
  for (const int word : {int{c.t1}, int{c.t2}, int{c.t3}, int{c.p1}, int{c.p2}, int{c.p3},
                         int{c.p4}, int{c.p5}, int{c.p6}, int{c.p7}, int{c.p8}, int{c.p9}}) {
    bytes.push_back(static_cast<uint8_t>(word & 0xFF));
    bytes.push_back(static_cast<uint8_t>(word >> 8 & 0xFF));
  }
  return bytes;
}

Bytes twenty_bits(int32_t raw) {
  return {static_cast<uint8_t>(raw >> 12), static_cast<uint8_t>(raw >> 4 & 0xFF),
          static_cast<uint8_t>(raw << 4 & 0xF0)};
}

// Measures when it is told to, like the chip: what lies in its data registers before that is not
// what it has measured.
class FakeBme {
 public:
  explicit FakeBme(uint8_t id) {
    memory.put(0xD0, {id});
    memory.put(0x88, to_bytes(example()));
    memory.put(0xF7, {0x80, 0, 0, 0x80, 0, 0, 0x80, 0});
  }
  void operator()(std::span<const uint8_t> out, std::span<uint8_t> in) {
    memory(out, in);
    if (!works || memory.bytes[0xF4] != 0x25) return;
    memory.bytes[0xF4] = 0x24;  // asleep again
    memory.put(0xF7, twenty_bits(kRawPressure));
    memory.put(0xFA, twenty_bits(kRawTemperature));
    if (memory.bytes[0xF2] == 1) memory.put(0xFD, {0x6E, 0x4A});
  }
  Memory memory;
  bool works = true;
};

TEST(Bme280, CompensatesTheExampleOfTheDatasheet) {
  double fine = 0;
  EXPECT_NEAR(i2c::bme280::temperature(example(), kRawTemperature, fine), 25.08, 0.005);
  EXPECT_NEAR(fine, 128422, 0.5);
  EXPECT_NEAR(i2c::bme280::pressure(example(), kRawPressure, fine), 100653.27, 0.005);
}

TEST(Bme280, PressureOfACalibrationThatIsNoneIsNoNumber) {
  i2c::bme280::Calibration c = example();
  c.p1 = 0;
  EXPECT_TRUE(std::isnan(i2c::bme280::pressure(c, kRawPressure, 128422)));
}

// BST-BME280-DS002, 4.2.3: the same in whole numbers, % in 1/1024. There is no example, so the two
// forms of the datasheet are held against each other.
double humidity_in_integers(const i2c::bme280::Calibration& c, int32_t raw, int32_t fine) {
  int32_t v = fine - 76800;
  v = ((((raw << 14) - (c.h4 * (1 << 20)) - (c.h5 * v)) + 16384) >> 15) *
      (((((((v * c.h6) >> 10) * (((v * c.h3) >> 11) + 32768)) >> 10) + 2097152) * c.h2 + 8192) >>
       14);
  v = v - (((((v >> 15) * (v >> 15)) >> 7) * c.h1) >> 4);
  v = std::min(std::max(v, 0), 419430400);
  return (v >> 12) / 1024.0;
}

TEST(Bme280, HumidityAgreesWithTheDatasheetsOtherForm) {
  i2c::bme280::Calibration c = example();
  c.h1 = 75, c.h2 = 362, c.h3 = 0, c.h4 = 315, c.h5 = 50, c.h6 = 30;  // of the usual size
  for (int32_t raw = 20000; raw <= 45000; raw += 500) {
    for (const int32_t fine : {-50000, 0, 76800, 128422, 250000}) {
      EXPECT_NEAR(i2c::bme280::humidity(c, raw, fine), humidity_in_integers(c, raw, fine), 0.05)
          << raw << " " << fine;
    }
  }
}

// BST-BME280-DS002, table 16: H4 and H5 are twelve bits that share a byte.
TEST(Bme280, HumidityCalibrationIsTakenApart) {
  i2c::bme280::Calibration c;
  const std::array<uint8_t, 7> bytes = {0x6A, 0x01, 0x07, 0x13, 0x2B, 0x03, 0xE2};
  i2c::bme280::read_humidity_part(75, bytes, c);
  EXPECT_EQ(c.h1, 75);
  EXPECT_EQ(c.h2, 362);
  EXPECT_EQ(c.h3, 7);
  EXPECT_EQ(c.h4, 0x13B);
  EXPECT_EQ(c.h5, 0x032);
  EXPECT_EQ(c.h6, -30);
  const std::array<uint8_t, 7> negative = {0, 0, 0, 0xFF, 0xEF, 0xFF, 0};
  i2c::bme280::read_humidity_part(0, negative, c);
  EXPECT_EQ(c.h4, -1);
  EXPECT_EQ(c.h5, -2);
}

TEST_F(I2cChips, Bmp280GivesTheExampleOfTheDatasheet) {
  world.chips[kAddress].speaks = FakeBme(0x58);
  start("bmp280");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->number("temperature"), 25.08);
  EXPECT_EQ(host_->number("pressure"), 1006.53);
  EXPECT_GE(world.paused.count(), 10);
}

TEST_F(I2cChips, Bme280MeasuresHumidityAsWell) {
  FakeBme chip(0x60);
  chip.memory.put(0xA1, {75});
  chip.memory.put(0xE1, {0x6A, 0x01, 0x00, 0x13, 0x2B, 0x03, 0x1E});
  world.chips[kAddress].speaks = chip;
  start("bme280");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  i2c::bme280::Calibration c = example();
  c.h1 = 75, c.h2 = 362, c.h3 = 0, c.h4 = 0x13B, c.h5 = 0x32, c.h6 = 30;
  ASSERT_TRUE(host_->number("humidity"));
  EXPECT_NEAR(*host_->number("humidity"), humidity_in_integers(c, 0x6E4A, 128422), 0.05);
}

TEST_F(I2cChips, ABme280ThatIsAnotherChipSaysSo) {
  world.chips[kAddress].speaks = FakeBme(0x58);
  start("bme280");
  expect_error("is a BMP280");
  world.chips[kAddress].speaks = FakeBme(0x55);
  expect_error("its id is 0x55, expected 0x60");
}

TEST_F(I2cChips, ABmp280ThatHasNotMeasuredGivesNothing) {
  FakeBme chip(0x58);
  chip.works = false;
  world.chips[kAddress].speaks = chip;
  start("bmp280");
  expect_error("has not measured");
  chip.memory.put(0xF3, {0x08});
  world.chips[kAddress].speaks = chip;
  expect_error("does not end its measurement");
  world.chips[kAddress].speaks = FakeBme(0x58);
  EXPECT_EQ(host_->poll(), FP_OK) << host_->trouble();
}

TEST_F(I2cChips, ABlankBmp280GivesNothing) {
  FakeBme chip(0x58);
  chip.memory.put(0x88, Bytes(24, 0));
  world.chips[kAddress].speaks = chip;
  start("bmp280");
  expect_error("calibration makes no sense");
}

TEST_F(I2cChips, ABmp280ThatWasReplacedIsReadWithItsOwnCalibration) {
  world.chips[kAddress].speaks = FakeBme(0x58);
  start("bmp280");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  FakeBme other(0x58);
  i2c::bme280::Calibration c = example();
  c.t1 = 27000;
  other.memory.put(0x88, to_bytes(c));
  const auto unplugged = std::exchange(world.chips, {});
  EXPECT_EQ(host_->poll(), FP_E_IO);
  world.chips = unplugged;
  world.chips[kAddress].speaks = other;
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  double fine = 0;
  EXPECT_NEAR(*host_->number("temperature"), i2c::bme280::temperature(c, kRawTemperature, fine),
              0.005);
}

// ---- SHT3x, SHT4x.

// Datasheet SHT3x-DIS, table 20.
TEST(Sht, ChecksumOfTheDatasheet) {
  EXPECT_EQ(i2c::sht::crc(std::array<uint8_t, 2>{0xBE, 0xEF}), 0x92);
}

TEST(Sht, ConvertsTheEndsOfItsRange) {
  EXPECT_EQ(i2c::sht::temperature(0), -45);
  EXPECT_EQ(i2c::sht::temperature(0xFFFF), 130);
  EXPECT_EQ(i2c::sht::humidity3(0), 0);
  EXPECT_EQ(i2c::sht::humidity3(0xFFFF), 100);
  EXPECT_EQ(i2c::sht::humidity4(0), 0);         // -6 before it is cropped
  EXPECT_EQ(i2c::sht::humidity4(0xFFFF), 100);  // 119
}

class FakeSht {
 public:
  explicit FakeSht(Bytes measure) : measure_(std::move(measure)) {}
  void operator()(std::span<const uint8_t> out, std::span<uint8_t> in) {
    if (!out.empty()) {
      asked_ = Bytes(out.begin(), out.end()) == measure_;
      since_ = world.paused;
    }
    if (in.empty()) return;
    // It does not acknowledge while it measures; nor does it without having been asked.
    if (!asked_ || world.paused - since_ < std::chrono::milliseconds(8)) i2c::fakes::fail(ENXIO);
    Bytes bytes = {0x66, 0x66, 0, 0x80, 0x00, 0};
    bytes[2] = i2c::sht::crc(std::span(bytes).first(2));
    bytes[5] = i2c::sht::crc(std::span(bytes).subspan(3, 2));
    if (wrong > 0) --wrong, bytes[5] ^= 1;
    std::copy_n(bytes.begin(), in.size(), in.begin());
  }
  int wrong = 0;  // answers with a wrong checksum

 private:
  Bytes measure_;
  bool asked_ = false;
  std::chrono::milliseconds since_{};
};

TEST_F(I2cChips, ShtsGiveTemperatureAndHumidity) {
  for (const auto& [profile, measure, humidity] :
       {std::tuple("sht3x", Bytes{0x24, 0x00}, 50.0), std::tuple("sht4x", Bytes{0xFD}, 56.5)}) {
    SetUp();
    world.chips[kAddress].speaks = FakeSht(measure);
    start(profile);
    ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
    EXPECT_EQ(host_->number("temperature"), 25.0);
    EXPECT_NEAR(*host_->number("humidity"), humidity, 0.01);
  }
}

TEST_F(I2cChips, AWrongChecksumIsAskedForAgainAndThenSaid) {
  FakeSht chip({0x24, 0x00});
  chip.wrong = 1;
  world.chips[kAddress].speaks = chip;
  start("sht3x");
  EXPECT_EQ(host_->poll(), FP_OK) << host_->trouble();
  chip.wrong = 2;
  world.chips[kAddress].speaks = chip;
  expect_error("wrong checksum, twice: 0xA3 for 0x8000, expected 0xA2");
  EXPECT_EQ(host_->poll(), FP_OK) << host_->trouble();
}

TEST_F(I2cChips, AnShtThatIsSilentSaysSo) {
  start("sht3x");
  expect_error("no acknowledge");
}

// ---- ADS1115.

// SBAS444: a conversion takes its time, after which the register has the number.
class FakeAds {
 public:
  explicit FakeAds(std::map<unsigned, int> inputs) : inputs_(std::move(inputs)) {}
  void operator()(std::span<const uint8_t> out, std::span<uint8_t> in) {
    if (out.size() == 3) {
      config = static_cast<unsigned>(out[1] << 8 | out[2]);
      if ((config & 0x8000) != 0) until_ = world.paused + std::chrono::milliseconds(8);
    }
    const bool busy = world.paused < until_;
    const unsigned word = out[0] == 1 ? (busy ? config & 0x7FFF : config | 0x8000)
                                      : static_cast<unsigned>(inputs_[config >> 12 & 7]);
    if (in.empty()) return;
    in[0] = static_cast<uint8_t>(word >> 8 & 0xFF);
    in[1] = static_cast<uint8_t>(word & 0xFF);
  }
  unsigned config = 0x8583;  // after power-up

 private:
  std::map<unsigned, int> inputs_;
  std::chrono::milliseconds until_{};
};

// SBAS444, table Input Signal Versus Ideal Output Code, with the profile's 4.096 V.
TEST_F(I2cChips, Ads1115GivesVoltages) {
  world.chips[kAddress].speaks = FakeAds({{4, 0x0001}, {5, 0x0000}, {6, 0xFFFF}, {7, 0x7FFE}});
  start("ads1115");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_NEAR(*host_->number("input_0"), 0.000125, 1e-12);
  EXPECT_EQ(host_->number("input_1"), 0);
  EXPECT_NEAR(*host_->number("input_2"), -0.000125, 1e-12);
  EXPECT_NEAR(*host_->number("input_3"), 4.09575, 1e-12);
  EXPECT_EQ(host_->attributes.at(0).unit_of_measure, "V");
}

TEST_F(I2cChips, Ads1115HasDifferencesRangesAndTheScaleOfWhatIsBeforeIt) {
  world.chips[kAddress].speaks = FakeAds({{0, 0x4000}, {3, 0xC000}});
  start(Row({{"address", int{kAddress}}, {"driver", "ads1115"}, {"range", "0.256"}},
            {{"value",
              {Row{{"attribute", "shunt"}, {"channel", "a0-a1"}, {"scale", 100}, {"unit", "A"}},
               Row{{"attribute", "other"}, {"channel", "a2-a3"}}}}}));
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_NEAR(*host_->number("shunt"), 12.8, 1e-9);
  EXPECT_NEAR(*host_->number("other"), -0.128, 1e-9);
  EXPECT_EQ(host_->attributes.at(0).unit_of_measure, "A");
}

TEST_F(I2cChips, AnInputAtTheEndOfItsRangeIsNoValue) {
  world.chips[kAddress].speaks = FakeAds({{4, 0x7FFF}, {5, 0x8000}, {6, 5}, {7, 6}});
  start("ads1115");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->latest("input_0")->quality, FP_OUT_OF_RANGE);
  EXPECT_EQ(host_->latest("input_1")->quality, FP_OUT_OF_RANGE);
  EXPECT_EQ(host_->latest("input_2")->quality, FP_GOOD);
}

TEST_F(I2cChips, AConversionThatAnotherMasterAskedForIsNotTaken) {
  FakeAds chip(std::map<unsigned, int>{{4, 1}});
  world.chips[kAddress].speaks = [chip](auto out, auto in) mutable {
    chip(out, in);
    chip.config = 0xD583;
  };
  start("ads1115");
  expect_error("does another master use it");
}

// ---- BH1750.

class FakeBh {
 public:
  explicit FakeBh(unsigned count) : count_(count) {}
  void operator()(std::span<const uint8_t> out, std::span<uint8_t> in) {
    if (!out.empty()) {
      if (out[0] == 0x01) is_on_ = true;
      if (out[0] == 0x20 && is_on_) until_ = world.paused + std::chrono::milliseconds(180);
    }
    if (in.empty()) return;
    const unsigned now = until_.count() > 0 && world.paused >= until_ ? count_ : 0;
    in[0] = static_cast<uint8_t>(now >> 8);
    in[1] = static_cast<uint8_t>(now & 0xFF);
  }

 private:
  unsigned count_;
  bool is_on_ = false;
  std::chrono::milliseconds until_{};
};

// Technical Note: 10000011 10010000b is 28067 lx.
TEST_F(I2cChips, Bh1750GivesTheExampleOfTheDatasheet) {
  world.chips[kAddress].speaks = FakeBh(0x8390);
  start("bh1750");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_NEAR(*host_->number("illuminance"), 28067, 0.5);
}

TEST_F(I2cChips, ABh1750ThatIsBlindedSaysSo) {
  world.chips[kAddress].speaks = FakeBh(0xFFFF);
  start("bh1750");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->latest("illuminance")->quality, FP_OUT_OF_RANGE);
}

// ---- MCP23017.

// DS20001952: after a reset all pins are inputs, and every other register is 0.
class FakeMcp {
 public:
  FakeMcp() { reset(); }
  void reset() {
    memory.bytes.clear();
    memory.put(0x00, {0xFF, 0xFF});
  }
  void operator()(std::span<const uint8_t> out, std::span<uint8_t> in) {
    for (const uint8_t port : {uint8_t{0}, uint8_t{1}}) {
      const uint8_t direction = memory.bytes[port], latch = memory.bytes[0x14 + port];
      memory.bytes[0x12 + port] =
          static_cast<uint8_t>((outside[port] & direction) | ((latch & ~stuck[port]) & ~direction));
    }
    memory(out, in);
    was_low |= static_cast<uint8_t>(~memory.bytes[0x00] & ~memory.bytes[0x14]);
  }
  Memory memory;
  std::array<uint8_t, 2> outside{};  // levels at the inputs
  std::array<uint8_t, 2> stuck{};    // outputs that are shorted to ground
  uint8_t was_low = 0;               // pins of port A that were ever driven low
};

class Mcp23017 : public I2cChips {
 protected:
  void SetUp() override {
    I2cChips::SetUp();
    world.chips[kAddress].speaks = [this](auto out, auto in) { chip(out, in); };
  }
  // a0 is an input that is pulled up and true when low, a1 an output that is true when low, b0 a
  // plain output.
  void start_three() {
    start(Row(
        {{"address", int{kAddress}}, {"driver", "mcp23017"}},
        {{"value",
          {Row{{"attribute", "door"}, {"channel", "a0"}, {"pull_up", true}, {"active_low", true}},
           Row{{"attribute", "relay"},
               {"channel", "a1"},
               {"active_low", true},
               {"command", "set-relay"}},
           Row{{"attribute", "lamp"},
               {"channel", "b0"},
               {"command", "set-lamp"},
               {"initial", true}}}}}));
  }
  FakeMcp chip;
};

TEST_F(Mcp23017, ReadsPins) {
  chip.outside = {0b0000'0001, 0b1000'0000};
  start("mcp23017");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->boolean("pin_a0"), true);
  EXPECT_EQ(host_->boolean("pin_a1"), false);
  EXPECT_EQ(host_->boolean("pin_b7"), true);
}

TEST_F(Mcp23017, ANewChipIsSetUpWithoutAGlitch) {
  start_three();
  chip.outside = {0b0000'0000, 0};
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->boolean("door"), true);
  EXPECT_EQ(host_->boolean("relay"), false);
  EXPECT_EQ(host_->boolean("lamp"), true);
  EXPECT_EQ(chip.memory.bytes[0x0C], 0b0000'0001);
  EXPECT_EQ(chip.memory.bytes[0x00], 0b1111'1101);
  EXPECT_EQ(chip.memory.bytes[0x01], 0b1111'1110);
  EXPECT_EQ(chip.was_low & 0b10, 0);  // which would have been on
  EXPECT_EQ(chip.memory.bytes[0x14] & 0b10, 0b10);
}

TEST_F(Mcp23017, AStartOfTheAgentLeavesOutputsAsTheyAre) {
  chip.memory.put(0x00, {0b1111'1101, 0b1111'1110});
  chip.memory.put(0x14, {0, 0});
  start_three();
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->boolean("relay"), true);
  EXPECT_EQ(host_->boolean("lamp"), false);
}

TEST_F(Mcp23017, ACommandSetsItsPinAlone) {
  chip.memory.put(0x14, {0b1000'0000, 0});
  start_three();
  EXPECT_EQ(host_->command("set-relay", {{"value", true}}).readback, Value(true));
  EXPECT_EQ(chip.memory.bytes[0x14], 0b1000'0000);
  EXPECT_EQ(host_->command("set-relay", {{"value", false}}).readback, Value(false));
  EXPECT_EQ(chip.memory.bytes[0x14], 0b1000'0010);
  EXPECT_EQ(host_->boolean("relay"), false);
}

TEST_F(Mcp23017, AnOutputThatDoesNotFollowFailsTheCommand) {
  chip.stuck = {0, 1};
  start_three();
  const auto outcome = host_->command("set-lamp", {{"value", true}});
  EXPECT_EQ(outcome.status, FP_E_IO);
  EXPECT_TRUE(contains(outcome.error, "b0: was set to true but the pin is false")) << outcome.error;
  EXPECT_EQ(host_->boolean("lamp"), false);
}

TEST_F(Mcp23017, AChipThatLostItsPowerSaysSoAndIsSetUpAgain) {
  start_three();
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  chip.reset();
  expect_error("it was reset, or without power");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->boolean("relay"), false);
  EXPECT_EQ(host_->boolean("lamp"), true);
}

// ---- What chips have in common.

TEST_F(I2cChips, InitIsWrittenFirstAndAgainWhenTheChipWasSilent) {
  world.chips[kAddress].registers = {{0, {1}}};
  start(
      Row({{"address", int{kAddress}}},
          {{"init",
            {Row{{"register", 0x10}, {"value", 0xAB}},
             Row{{"register", 0x11}, {"value", 0x1234}, {"width", 16}, {"endianness", "little"}}}},
           {"register", {Row{{"attribute", "a"}, {"register", 0}}}}}));
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(world.chips[kAddress].registers[0x10], Bytes{0xAB});
  EXPECT_EQ(world.chips[kAddress].registers[0x11], (Bytes{0x34, 0x12}));
  world.chips[kAddress].registers = {{0, {1}}};
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_FALSE(world.chips[kAddress].registers.contains(0x10));
  world.chips[kAddress].errors = {EREMOTEIO, EREMOTEIO};
  EXPECT_EQ(host_->poll(), FP_E_IO);
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(world.chips[kAddress].registers[0x10], Bytes{0xAB});
}

TEST_F(I2cChips, AChipMayHaveADriverAndRegisters) {
  world.chips[kAddress].speaks = FakeBme(0x58);
  Row row = profile_row("i2c", "bmp280", {{"address", int{kAddress}}});
  row.rows["register"] = {Row{{"attribute", "id"}, {"register", 0xD0}}};
  start(row);
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->number("id"), 0x58);
  EXPECT_EQ(host_->number("temperature"), 25.08);
  // One that does not measure takes no register down.
  FakeBme broken(0x58);
  broken.works = false;
  world.chips[kAddress].speaks = broken;
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->latest("temperature")->quality, FP_COMM_ERROR);
  EXPECT_EQ(host_->latest("id")->quality, FP_GOOD);
  // It is set up anew all the same.
  FakeBme other(0x58);
  i2c::bme280::Calibration c = example();
  c.t1 = 27000;
  other.memory.put(0x88, to_bytes(c));
  world.chips[kAddress].speaks = other;
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  double fine = 0;
  EXPECT_NEAR(*host_->number("temperature"), i2c::bme280::temperature(c, kRawTemperature, fine),
              0.005);
}

struct BadRow {
  const char* name;
  Row chip;
  std::string option, text;
};

class I2cChipsDeclare : public testing::TestWithParam<BadRow> {};

TEST_P(I2cChipsDeclare, NamesTheProblem) {
  FakeHost host({{"bus", "1"}}, {{"chip", {GetParam().chip}}});
  EXPECT_EQ(host.declare(), FP_E_INVALID);
  ASSERT_EQ(host.problems.size(), 1u) << host.trouble();
  EXPECT_EQ(host.problems[0].option, GetParam().option);
  EXPECT_TRUE(contains(host.problems[0].text, GetParam().text)) << host.trouble();
}

Row with(const char* driver, std::initializer_list<Row::Pair> value) {
  return Row({{"address", int{kAddress}}, {"driver", driver}}, {{"value", {Row(value)}}});
}

INSTANTIATE_TEST_SUITE_P(
    Rows, I2cChipsDeclare,
    testing::Values(
        BadRow{"NoDriver",
               Row({{"address", 8}},
                   {{"value", {Row{{"attribute", "a"}, {"channel", "temperature"}}}}}),
               "", "expected driver"},
        BadRow{"NoValue", Row{{"address", 8}, {"driver", "sht3x"}}, "driver",
               "the profile \"sht3x\" has them all"},
        BadRow{"NoSuchChannel", with("bmp280", {{"attribute", "a"}, {"channel", "humidity"}}),
               "channel", "expected one of \"temperature\", \"pressure\""},
        BadRow{"CommandOfASensor",
               with("sht3x", {{"attribute", "a"}, {"channel", "humidity"}, {"command", "c"}}),
               "command", "cannot be set"},
        BadRow{"PullUpOfASensor",
               with("sht3x", {{"attribute", "a"}, {"channel", "humidity"}, {"pull_up", true}}),
               "pull_up", "pins alone"},
        BadRow{"InitialOfAnInput",
               with("mcp23017", {{"attribute", "a"}, {"channel", "a0"}, {"initial", true}}),
               "initial", "outputs alone"},
        BadRow{"ScaleOfAPin",
               with("mcp23017", {{"attribute", "a"}, {"channel", "a0"}, {"scale", 2}}), "scale",
               "neither scale"},
        BadRow{"PinTwice",
               Row({{"address", 8}, {"driver", "mcp23017"}},
                   {{"value",
                     {Row{{"attribute", "a"}, {"channel", "a0"}},
                      Row{{"attribute", "b"}, {"channel", "a0"}}}}}),
               "channel", "has this pin"},
        BadRow{"InitTooLarge",
               Row({{"address", 8}}, {{"init", {Row{{"register", 1}, {"value", 256}}}},
                                      {"register", {Row{{"attribute", "a"}, {"register", 0}}}}}),
               "value", "no more than the width"},
        BadRow{"HalfAMux",
               Row({{"address", 8}, {"mux", 0x70}},
                   {{"register", {Row{{"attribute", "a"}, {"register", 0}}}}}),
               "mux", "mux_channel"},
        BadRow{"ItsMuxItself",
               Row({{"address", 0x70}, {"mux", 0x70}, {"mux_channel", 0}},
                   {{"register", {Row{{"attribute", "a"}, {"register", 0}}}}}),
               "address", "its multiplexer"}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
