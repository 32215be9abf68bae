// SPDX-License-Identifier: Apache-2.0
//
// The profiles that are installed, with the examples of the chips' datasheets.
#include <gtest/gtest.h>

#include <set>

#include "i2c_fake_bus.hpp"
#include "plugins/profile_row.hpp"

namespace {

using fieldpost::Member;
using fieldpost::Node;
using fieldpost::fakes::FakeHost;
using i2c::fakes::Bytes;
using i2c::fakes::world;

std::set<std::string> all_profiles() {
  std::set<std::string> names;
  for (const auto& file :
       std::filesystem::directory_iterator(fieldpost::fakes::profile_folder("i2c"))) {
    names.insert(file.path().stem().string());
  }
  return names;
}

struct Example {
  std::string profile;
  std::map<uint8_t, Bytes> registers;
  std::map<std::string, fieldpost::Value> values;
};

const std::vector<Example> kExamples = {
    // SBOS397, table 12-Bit Temperature Data Format.
    {"tmp102", {{0, {0x7F, 0xF0}}}, {{"temperature", 127.9375}}},
    {"tmp102", {{0, {0xFF, 0xC0}}}, {{"temperature", -0.25}}},
    {"tmp102", {{0, {0xC9, 0x00}}}, {{"temperature", -55.0}}},
    // SNIS153, table of temperatures; the lower seven bits are undefined.
    {"lm75", {{0, {0x7D, 0x00}}}, {{"temperature", 125.0}}},
    {"lm75", {{0, {0x19, 0x7F}}}, {{"temperature", 25.0}}},
    {"lm75", {{0, {0xFF, 0x80}}}, {{"temperature", -0.5}}},
    // DS25095, figure Reading +25.25 degC from the TA Register.
    {"mcp9808", {{5, {0xC1, 0x94}}}, {{"temperature", 25.25}}},
    {"mcp9808", {{5, {0x1F, 0x00}}}, {{"temperature", -16.0}}},
    // 19-5170: 00011001 01b is +25.25 degC. Status after power-up: OSF set.
    {"ds3231",
     {{0x11, {0x19, 0x40}}, {0x0F, {0x88}}},
     {{"temperature", 25.25}, {"oscillator_stopped", true}}},
    {"ds3231",
     {{0x11, {0xF6, 0x80}}, {0x0F, {0x08}}},
     {{"temperature", -9.5}, {"oscillator_stopped", false}}},
    // The first byte is the conversion before.
    {"pcf8591",
     {{0, {0xFF, 0}}, {1, {0, 1}}, {2, {1, 128}}, {3, {128, 255}}},
     {{"input_0", 0.0}, {"input_1", 1.0}, {"input_2", 128.0}, {"input_3", 255.0}}},
    // SBOS448, tables of shunt voltages: 7D00h is 320 mV, 8300h -320 mV; of bus voltages: 0FA0h
    // moved down by three is 16 V. CNVR and OVF below are no part of it.
    {"ina219",
     {{2, {0x7D, 0x03}}, {1, {0x7D, 0x00}}},
     {{"bus_voltage", 16.0}, {"shunt_voltage", 0.32}}},
    {"ina219",
     {{2, {0x00, 0x00}}, {1, {0x83, 0x00}}},
     {{"bus_voltage", 0.0}, {"shunt_voltage", -0.32}}},
    // SBOS547: 7FFFh is 81.9175 mV and 40.96 V (of which bit 15 is always 0), 8300h is -80 mV.
    {"ina226",
     {{2, {0x7F, 0xFF}}, {1, {0x7F, 0xFF}}},
     {{"bus_voltage", 40.95875}, {"shunt_voltage", 0.0819175}}},
    {"ina226",
     {{2, {0x25, 0x70}}, {1, {0x83, 0x00}}},
     {{"bus_voltage", 11.98}, {"shunt_voltage", -0.08}}},
};

TEST(I2cProfiles, DecodeTheExamplesOfTheDatasheets) {
  for (const Example& example : kExamples) {
    SCOPED_TRACE(example.profile);
    world = {};
    world.chips[0x48].registers = example.registers;
    FakeHost host(
        {{"bus", "1"}},
        {{"chip", {fieldpost::fakes::profile_row("i2c", example.profile, {{"address", 0x48}})}}});
    ASSERT_EQ(host.open(), FP_OK) << host.trouble();
    ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
    EXPECT_EQ(host.attributes.size(), example.values.size());
    for (const auto& [name, wanted] : example.values) {
      const auto reading = host.latest(name);
      ASSERT_TRUE(reading) << name;
      ASSERT_EQ(reading->quality, FP_GOOD) << reading->detail;
      if (const auto* number = std::get_if<double>(&wanted)) {
        EXPECT_NEAR(std::get<double>(reading->value), *number, 1e-9) << name;
      } else {
        EXPECT_EQ(reading->value, wanted) << name;
      }
    }
  }
}

TEST(I2cProfiles, EachSaysWhereItsNumbersAreFrom) {
  for (const std::string& name : all_profiles()) {
    SCOPED_TRACE(name);
    const Node profile = fieldpost::fakes::read_profile("i2c", name);
    EXPECT_NE(profile.find("title"), nullptr);
    EXPECT_NE(profile.find("source"), nullptr);
    size_t rows = 0;
    for (const Member& member : profile.members) {
      for (const Node& row : member.value.items) {
        ++rows;
        EXPECT_NE(row.find("source"), nullptr) << "line " << row.at.line;
      }
    }
    EXPECT_GT(rows, 0u);
  }
}

// One without an example would be a claim that nobody has tested.
TEST(I2cProfiles, EachRegisterMapHasAnExample) {
  std::set<std::string> shown;
  for (const Example& example : kExamples) shown.insert(example.profile);
  for (const std::string& name : all_profiles()) {
    if (fieldpost::fakes::read_profile("i2c", name).find("driver") != nullptr) continue;
    EXPECT_TRUE(shown.contains(name)) << name;
  }
}

}  // namespace
