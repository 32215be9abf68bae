// SPDX-License-Identifier: Apache-2.0
//
// BME280 and BMP280: the example of the datasheet, and what is said when they answer nonsense.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>

#include "chips/bme280.hpp"
#include "i2c_chips.hpp"

namespace i2c::fakes {
namespace {

// BST-BMP280-DS001, 3.12: its calibration, raw numbers, and results.
bme280::Calibration example() {
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

Bytes to_bytes(const bme280::Calibration& c) {
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
  EXPECT_NEAR(bme280::temperature(example(), kRawTemperature, fine), 25.08, 0.005);
  EXPECT_NEAR(fine, 128422, 0.5);
  EXPECT_NEAR(bme280::pressure(example(), kRawPressure, fine), 100653.27, 0.005);
}

TEST(Bme280, PressureOfACalibrationThatIsNoneIsNoNumber) {
  bme280::Calibration c = example();
  c.p1 = 0;
  EXPECT_TRUE(std::isnan(bme280::pressure(c, kRawPressure, 128422)));
}

// BST-BME280-DS002, 4.2.3: the same in whole numbers, % in 1/1024. There is no example, so the two
// forms of the datasheet are held against each other.
double humidity_in_integers(const bme280::Calibration& c, int32_t raw, int32_t fine) {
  int32_t v = fine - 76800;
  v = ((((raw << 14) - (c.h4 * (1 << 20)) - (c.h5 * v)) + 16384) >> 15) *
      (((((((v * c.h6) >> 10) * (((v * c.h3) >> 11) + 32768)) >> 10) + 2097152) * c.h2 + 8192) >>
       14);
  v = v - (((((v >> 15) * (v >> 15)) >> 7) * c.h1) >> 4);
  v = std::min(std::max(v, 0), 419430400);
  return (v >> 12) / 1024.0;
}

TEST(Bme280, HumidityAgreesWithTheDatasheetsOtherForm) {
  bme280::Calibration c = example();
  c.h1 = 75, c.h2 = 362, c.h3 = 0, c.h4 = 315, c.h5 = 50, c.h6 = 30;  // of the usual size
  for (int32_t raw = 20000; raw <= 45000; raw += 500) {
    for (const int32_t fine : {-50000, 0, 76800, 128422, 250000}) {
      EXPECT_NEAR(bme280::humidity(c, raw, fine), humidity_in_integers(c, raw, fine), 0.05)
          << raw << " " << fine;
    }
  }
}

// BST-BME280-DS002, table 16: H4 and H5 are twelve bits that share a byte.
TEST(Bme280, HumidityCalibrationIsTakenApart) {
  bme280::Calibration c;
  const std::array<uint8_t, 7> bytes = {0x6A, 0x01, 0x07, 0x13, 0x2B, 0x03, 0xE2};
  bme280::read_humidity_part(75, bytes, c);
  EXPECT_EQ(c.h1, 75);
  EXPECT_EQ(c.h2, 362);
  EXPECT_EQ(c.h3, 7);
  EXPECT_EQ(c.h4, 0x13B);
  EXPECT_EQ(c.h5, 0x032);
  EXPECT_EQ(c.h6, -30);
  const std::array<uint8_t, 7> negative = {0, 0, 0, 0xFF, 0xEF, 0xFF, 0};
  bme280::read_humidity_part(0, negative, c);
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
  bme280::Calibration c = example();
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
  bme280::Calibration c = example();
  c.t1 = 27000;
  other.memory.put(0x88, to_bytes(c));
  const auto unplugged = std::exchange(world.chips, {});
  EXPECT_EQ(host_->poll(), FP_E_IO);
  world.chips = unplugged;
  world.chips[kAddress].speaks = other;
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  double fine = 0;
  EXPECT_NEAR(*host_->number("temperature"), bme280::temperature(c, kRawTemperature, fine), 0.005);
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
  bme280::Calibration c = example();
  c.t1 = 27000;
  other.memory.put(0x88, to_bytes(c));
  world.chips[kAddress].speaks = other;
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  double fine = 0;
  EXPECT_NEAR(*host_->number("temperature"), bme280::temperature(c, kRawTemperature, fine), 0.005);
}

}  // namespace
}  // namespace i2c::fakes
