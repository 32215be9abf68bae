// SPDX-License-Identifier: Apache-2.0
//
// The iio plugin on a made-up sysfs: what chips say, in which unit, and what is no value.
#include <gtest/gtest.h>

#include <cerrno>

#include "fakes/fake_host.hpp"
#include "iio_sysfs.hpp"
#include "quantities.hpp"
#include "sysfs.hpp"

namespace {

using fieldpost::fakes::FakeHost;
using fieldpost::fakes::Row;
using iio::fakes::Files;
using iio::fakes::make_unreadable;
using iio::fakes::Sysfs;
using iio::fakes::write;
namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A row whose attribute is called like its channel.
Row channel(const std::string& name, const std::string& item = "value") {
  return Row{{"attribute", name}, {"channel", name}, {"item", item}};
}

class IioTest : public testing::Test {
 protected:
  void start(std::vector<Row> chips) {
    host_ = std::make_unique<FakeHost>(Row::Values{{"root", sysfs_.root()}},
                                       Row::Tables{{"chip", std::move(chips)}});
    ASSERT_EQ(host_->open(), FP_OK) << host_->trouble();
  }
  void start(const Row& chip, std::vector<Row> channels) {
    start({Row(chip.values, {{"channel", std::move(channels)}})});
  }
  void TearDown() override {
    if (host_ != nullptr) {
      EXPECT_TRUE(host_->refusals.empty()) << host_->trouble();
    }
  }
  std::string unit_of(const std::string& attribute) const {
    const auto it = std::ranges::find(host_->attributes, attribute, &FakeHost::Attribute::name);
    return it == host_->attributes.end() ? "?" : it->unit_of_measure;
  }
  // The one reading that is not good.
  void expect_bad(const std::string& attribute, uint32_t quality, const std::string& why) {
    const auto reading = host_->latest(attribute);
    ASSERT_TRUE(reading) << host_->trouble();
    EXPECT_EQ(reading->quality, quality);
    EXPECT_TRUE(contains(reading->detail, why)) << reading->detail;
  }
  Sysfs sysfs_;
  std::unique_ptr<FakeHost> host_;
};

constexpr const char* kI2c = "platform/soc/fe804000.i2c/i2c-1/1-0076";

TEST_F(IioTest, HwmonGivesThousandthsAndMillionths) {
  sysfs_.hwmon(0, kI2c,
               {{"name", "board"},
                {"temp1_input", "-24500"},
                {"in0_input", "3312"},
                {"curr1_input", "250"},
                {"power1_input", "825400"},
                {"energy1_input", "12345678"},
                {"humidity1_input", "45030"},
                {"fan1_input", "1480"},
                {"pwm1", "51"}});
  start({{"chip", "board"}},
        {channel("temp1"), channel("in0"), channel("curr1"), channel("power1"), channel("energy1"),
         channel("humidity1"), channel("fan1"), channel("pwm1")});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  const std::tuple<const char*, double, const char*> wanted[] = {
      {"temp1", -24.5, "degC"},    {"in0", 3.312, "V"},
      {"curr1", 0.25, "A"},        {"power1", 0.8254, "W"},
      {"energy1", 12.345678, "J"}, {"humidity1", 45.03, "%"},
      {"fan1", 1480, "RPM"},       {"pwm1", 20, "%"}};
  for (const auto& [name, value, unit] : wanted) {
    EXPECT_EQ(host_->number(name), value) << name;
    EXPECT_EQ(unit_of(name), unit);
  }
  EXPECT_EQ(host_->samples.size(), 1U);  // one instant, one sample
}

TEST_F(IioTest, LimitsHaveTheUnitOfTheirChannelAndAlarmsAreBooleans) {
  sysfs_.hwmon(0, kI2c, {{"name", "lm75"}, {"temp1_max", "80000"}, {"temp1_max_alarm", "1"}});
  start({{"chip", "lm75"}},
        {Row{{"attribute", "limit"}, {"channel", "temp1"}, {"item", "max"}},
         Row{{"attribute", "too_hot"}, {"channel", "temp1"}, {"item", "max_alarm"}}});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->number("limit"), 80);
  EXPECT_EQ(unit_of("limit"), "degC");
  EXPECT_EQ(host_->boolean("too_hot"), true);
}

// What the kernel's bmp280 driver makes of the example in the chip's datasheet.
TEST_F(IioTest, IioGivesWhatTheDriverHasProcessed) {
  sysfs_.iio(0, kI2c,
             {{"name", "bmp280"}, {"in_temp_input", "25080"}, {"in_pressure_input", "100.653270"}});
  start({{"chip", "bmp280"}}, {channel("in_temp"), channel("in_pressure")});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->number("in_temp"), 25.08);
  EXPECT_EQ(host_->number("in_pressure"), 100653.27);
  EXPECT_EQ(unit_of("in_pressure"), "Pa");
}

// The numbers of the kernel's iio_simple_dummy.c.
TEST_F(IioTest, IioCountsAreOffsetAndThenScaled) {
  sysfs_.iio(0, "",
             {{"name", "dummy"},
              {"in_voltage0_raw", "73"},
              {"in_voltage0_offset", "7"},
              {"in_voltage0_scale", "0.001333"},
              {"in_voltage3-voltage4_raw", "-34"},
              {"in_voltage-voltage_scale", "0.000001344"},
              {"in_steps_input", "47"}});
  start({{"chip", "dummy"}},
        {channel("in_voltage0"), channel("in_voltage3-voltage4"), channel("in_steps"),
         Row{{"attribute", "count"}, {"channel", "in_voltage0"}, {"item", "raw"}}});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->number("in_voltage0"), 0.00010664);            // (73 + 7) * 0.001333 mV
  EXPECT_EQ(host_->number("in_voltage3-voltage4"), -4.5696e-08);  // -34 * 0.000001344 mV
  EXPECT_EQ(host_->number("in_steps"), 47);
  EXPECT_EQ(host_->number("count"), 73);
  EXPECT_EQ(unit_of("count"), "");
}

TEST_F(IioTest, AScaleMayBeSharedByChannelsOfAKindOrByAll) {
  sysfs_.iio(0, kI2c,
             {{"name", "adc"},
              {"in_voltage2_raw", "1000"},
              {"in_voltage_scale", "2"},
              {"in_voltage_offset", "-200"},
              {"in_accel_x_raw", "100"},
              {"in_accel_scale", "0.01"},
              {"in_temp_ambient_raw", "500"},
              {"scale", "50"}});
  start({{"chip", "adc"}},
        {channel("in_voltage2"), channel("in_accel_x"), channel("in_temp_ambient")});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->number("in_voltage2"), 1.6);
  EXPECT_EQ(host_->number("in_accel_x"), 1);
  EXPECT_EQ(host_->number("in_temp_ambient"), 25);
}

TEST_F(IioTest, ACountWithoutAScaleIsNoVoltage) {
  sysfs_.iio(0, kI2c, {{"name", "adc"}, {"in_voltage0_raw", "73"}, {"in_current0_raw", "4000"}});
  start({{"chip", "adc"}}, {channel("in_voltage0"), channel("in_current0")});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  expect_bad("in_voltage0", FP_COMM_ERROR, "has no scale");
  EXPECT_EQ(host_->number("in_current0"), 4);  // by the ABI, milliamps already
}

TEST_F(IioTest, ScaleOffsetAndDecimalsOfTheRowComeLast) {
  sysfs_.hwmon(0, kI2c, {{"name", "board"}, {"in1_input", "1234"}});
  start({{"chip", "board"}}, {Row{{"attribute", "supply"},
                                  {"channel", "in1"},
                                  {"scale", 11.0},
                                  {"offset", -0.5},
                                  {"decimals", 1.0},
                                  {"unit", "V"}}});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->number("supply"), 13.1);
  EXPECT_EQ(unit_of("supply"), "V");
}

// ---- What is no value.

TEST_F(IioTest, AFaultThatTheChipReportsIsNoTemperature) {
  const fs::path folder =
      sysfs_.hwmon(0, kI2c, {{"name", "max31855"}, {"temp1_input", "0"}, {"temp1_fault", "1"}});
  start({{"chip", "max31855"}},
        {channel("temp1"), Row{{"attribute", "open"}, {"channel", "temp1"}, {"item", "fault"}}});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  expect_bad("temp1", FP_OUT_OF_RANGE, "temp1_fault");
  EXPECT_EQ(host_->boolean("open"), true);
  write(folder / "temp1_fault", "0\n");
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->number("temp1"), 0);
}

TEST_F(IioTest, AChannelThatCannotBeReadTakesNoOtherDown) {
  const fs::path folder = sysfs_.hwmon(0, kI2c,
                                       {{"name", "board"},
                                        {"temp1_input", ""},
                                        {"temp2_input", "banana"},
                                        {"temp3_input", "12 34"},
                                        {"temp4_input", "1"},
                                        {"temp5_input", "21000"}});
  make_unreadable(folder / "temp4_input");
  start({{"chip", "board"}}, {channel("temp1"), channel("temp2"), channel("temp3"),
                              channel("temp4"), channel("temp5"), channel("temp6")});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  expect_bad("temp1", FP_COMM_ERROR, "board temp1: temp1_input: is empty");
  expect_bad("temp2", FP_COMM_ERROR, "expected a number, but it says 'banana'");
  expect_bad("temp3", FP_COMM_ERROR, "expected a number");
  expect_bad("temp4", FP_COMM_ERROR, "did not answer, or with a wrong checksum");
  EXPECT_EQ(host_->number("temp5"), 21);
  expect_bad("temp6", FP_COMM_ERROR, "has no temp6_input; it has temp1_input, temp2_input");
}

TEST_F(IioTest, AChipThatSaysNothingIsSilent) {
  const fs::path folder = sysfs_.hwmon(0, kI2c, {{"name", "lm75"}, {"temp1_input", "1"}});
  make_unreadable(folder / "temp1_input");
  start({{"chip", "lm75"}}, {channel("temp1")});
  EXPECT_EQ(host_->poll(), FP_E_IO);
  EXPECT_TRUE(contains(host_->error, "lm75 temp1: temp1_input: the chip did not answer"))
      << host_->error;
  EXPECT_TRUE(host_->samples.empty());
}

TEST(IioErrors, SayWhatTheDriverMeans) {
  EXPECT_TRUE(contains(iio::explain(EIO), "wrong checksum"));
  EXPECT_TRUE(contains(iio::explain(ENODATA), "is the channel switched off?"));
  EXPECT_TRUE(contains(iio::explain(EAGAIN), "no value yet"));
  EXPECT_TRUE(contains(iio::explain(ENODEV), "gone from its bus"));
  EXPECT_EQ(iio::explain(EACCES), "Permission denied");
}

// ---- DS18B20. What w1_slave says is of the kernel's Documentation/w1/slaves/w1_therm.rst.

class W1Test : public IioTest {
 protected:
  void start_at(const std::string& millidegrees, const std::string& all) {
    folder_ = sysfs_.hwmon(2, "w1_bus_master1/28-00000a1b2c3d",
                           {{"name", "w1_slave_temp"}, {"temp1_input", millidegrees}});
    if (!all.empty()) write(folder_ / "device/w1_slave", all);
    start({{"chip", "w1_slave_temp"}}, {channel("temp1")});
    ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  }
  fs::path folder_;
};

TEST_F(W1Test, AValueIsAValue) {
  start_at("21437", "");
  EXPECT_EQ(host_->number("temp1"), 21.437);
}

TEST_F(W1Test, WhatItHasBeforeItMeasuresIsDoubted) {
  start_at("85000",
           "50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n");
  expect_bad("temp1", FP_OUT_OF_RANGE, "has not measured");
}

TEST_F(W1Test, EightyFiveDegreesMayBeTrue) {
  start_at("85000",
           "50 05 4b 46 7f ff 10 10 3e : crc=3e YES\n50 05 4b 46 7f ff 10 10 3e t=85000\n");
  EXPECT_EQ(host_->number("temp1"), 85);
}

TEST_F(W1Test, ASensorThatLostItsPowerOnceIsAskedAgain) {
  start_at("85000",
           "57 01 4b 46 7f ff 09 10 2d : crc=2d YES\n57 01 4b 46 7f ff 09 10 2d t=21437\n");
  EXPECT_EQ(host_->number("temp1"), 21.437);
}

TEST_F(W1Test, ASecondAnswerWithAWrongChecksumProvesNothing) {
  start_at("85000", "57 01 4b 46 7f ff 09 10 2d : crc=2e NO\n50 05 4b 46 7f ff 0c 10 1c t=21437\n");
  expect_bad("temp1", FP_OUT_OF_RANGE, "cannot be asked again");
}

TEST_F(W1Test, APowerFailureIsDoubtedToo) {
  start_at("127937",
           "ff 07 4b 46 7f ff 0c 10 1c : crc=1c YES\nff 07 4b 46 7f ff 0c 10 1c t=127937\n");
  expect_bad("temp1", FP_OUT_OF_RANGE, "its power failed");
}

TEST_F(IioTest, EightyFiveDegreesOfAnotherChipAreFine) {
  sysfs_.hwmon(0, "virtual/thermal/thermal_zone0",
               {{"name", "cpu_thermal"}, {"temp1_input", "85000"}});
  start({{"chip", "cpu_thermal"}}, {channel("temp1")});
  ASSERT_EQ(host_->poll(), FP_OK) << host_->trouble();
  EXPECT_EQ(host_->number("temp1"), 85);
}

// ---- The configuration.

struct BadRows {
  const char* name;
  Row::Tables rows;
  std::string option, text;
};

class IioDeclare : public testing::TestWithParam<BadRows> {};

TEST_P(IioDeclare, NamesTheProblem) {
  FakeHost host({}, GetParam().rows);
  EXPECT_EQ(host.declare(), FP_E_INVALID);
  ASSERT_EQ(host.problems.size(), 1U) << host.trouble();
  EXPECT_EQ(host.problems[0].option, GetParam().option);
  EXPECT_TRUE(contains(host.problems[0].text, GetParam().text)) << host.trouble();
}

Row::Tables one(std::vector<Row> channels) {
  return {{"chip", {Row({{"chip", "lm75"}}, {{"channel", std::move(channels)}})}}};
}

INSTANTIATE_TEST_SUITE_P(
    Rows, IioDeclare,
    testing::Values(
        BadRows{"NoChip", {}, "", "[[plugin.chip]]"},
        BadRows{"NoChannel", one({}), "", "[[plugin.chip.channel]]"},
        BadRows{"WhichChip",
                {{"chip", {Row(Row::Values{}, {{"channel", {channel("temp1")}}})}}},
                "",
                "which one is meant"},
        BadRows{"NoSuchChannel", one({channel("temperature1")}), "channel", "temp1"},
        BadRows{"WithItsItem", one({channel("temp1_input")}), "channel", "without _input"},
        BadRows{"Typo", one({channel("in_votlage0")}), "channel", "in_voltage0"},
        BadRows{"APath", one({Row{{"attribute", "a"}, {"channel", "in_temp_x/../../x"}}}),
                "channel", "in_temp"},
        BadRows{"BothInterfaces", one({channel("temp1"), channel("in_temp")}), "channel",
                "hwmon or iio"},
        BadRows{"RawOfHwmon", one({channel("temp1", "raw")}), "item", "iio alone"},
        BadRows{"AlarmOfIio", one({channel("in_temp", "alarm")}), "item", "hwmon"},
        BadRows{
            "ScaledAlarm",
            one({Row{{"attribute", "a"}, {"channel", "temp1"}, {"item", "alarm"}, {"scale", 2}}}),
            "item", "neither scale"},
        BadRows{"ScaleZero", one({Row{{"attribute", "a"}, {"channel", "temp1"}, {"scale", 0}}}),
                "scale", "anything but 0"}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
