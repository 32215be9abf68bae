// SPDX-License-Identifier: Apache-2.0
//
// The other chips with a driver: the examples of their datasheets, and what is said when they
// answer nonsense.
#include "i2c_chips.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include "chips/sht.hpp"

namespace i2c::fakes {
namespace {

using fieldpost::Value;

// ---- SHT3x, SHT4x.

// Datasheet SHT3x-DIS, table 20.
TEST(Sht, ChecksumOfTheDatasheet) { EXPECT_EQ(sht::crc(std::array<uint8_t, 2>{0xBE, 0xEF}), 0x92); }

TEST(Sht, ConvertsTheEndsOfItsRange) {
  EXPECT_EQ(sht::temperature(0), -45);
  EXPECT_EQ(sht::temperature(0xFFFF), 130);
  EXPECT_EQ(sht::humidity3(0), 0);
  EXPECT_EQ(sht::humidity3(0xFFFF), 100);
  EXPECT_EQ(sht::humidity4(0), 0);         // -6 before it is cropped
  EXPECT_EQ(sht::humidity4(0xFFFF), 100);  // 119
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
    if (!asked_ || world.paused - since_ < std::chrono::milliseconds(8)) fail(ENXIO);
    Bytes bytes = {0x66, 0x66, 0, 0x80, 0x00, 0};
    bytes[2] = sht::crc(std::span(bytes).first(2));
    bytes[5] = sht::crc(std::span(bytes).subspan(3, 2));
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

// Another instance sets b7 at one of the times it gets the bus: while the chip is set up, or
// written.
TEST_F(Mcp23017, WhatAnotherInstanceSetsInBetweenIsKept) {
  for (int turn = 1; turn <= 12; ++turn) {
    chip.reset();
    start_three();
    int unlocked = 0;
    world.when_unlocked = [&] {
      if (++unlocked == turn) chip.memory.bytes[0x15] |= 0b1000'0000;
    };
    EXPECT_EQ(host_->command("set-lamp", {{"value", true}}).status, FP_OK);
    EXPECT_EQ(chip.memory.bytes[0x15] >> 7, unlocked >= turn) << "after turn " << turn;
    world.when_unlocked = nullptr;
  }
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

// With inputs alone its directions look as before.
TEST_F(Mcp23017, AResetThatTookOnlyPullUpsIsNoticed) {
  start(Row({{"address", int{kAddress}}, {"driver", "mcp23017"}},
            {{"value", {Row{{"attribute", "door"}, {"channel", "b3"}, {"pull_up", true}}}}}));
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  chip.reset();
  expect_error("it was reset, or without power");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(chip.memory.bytes[0x0D], 0b0000'1000);
}

TEST_F(Mcp23017, PinsThatSomebodyInvertedAreSetUpAgain) {
  chip.memory.put(0x02, {0b1000'0001, 0});  // a7 has no row
  start_three();
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(chip.memory.bytes[0x02], 0b1000'0000);
  chip.memory.put(0x02, {0b0000'0001, 0});
  expect_error("inverted");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(chip.memory.bytes[0x02], 0);
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
}  // namespace i2c::fakes
