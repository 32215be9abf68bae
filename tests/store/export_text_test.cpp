// SPDX-License-Identifier: Apache-2.0
#include "store/export_text.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>

#include "base/json.hpp"
#include "store_fixture.hpp"

namespace fieldpost {
namespace {

using testing::symbol;

constexpr int64_t kNoon = 1'777'888'800'250;  // 2026-05-04T10:00:00.250Z

WaitingReadings one(Value value, int64_t ms = kNoon, bool timed = true) {
  WaitingReadings readings{.device = symbol("575e"), .timed = timed};
  readings.states.push_back({ms, {{symbol("t"), std::move(value)}}});
  return readings;
}

std::string csv(const WaitingReadings& readings, DeviceNames names = {}) {
  std::string out;
  ExportText(ExportFormat::Csv, std::move(names)).add(readings, out);
  return out;
}

std::string json(const WaitingReadings& readings, DeviceNames names = {}) {
  std::string out;
  ExportText(ExportFormat::Jsonl, std::move(names)).add(readings, out);
  return out;
}

TEST(ExportText, ACopyForACustomTopicSaysWhatItIs) {
  WaitingReadings readings = one(21.5);
  readings.device = symbol("publish:bus:boiler");
  EXPECT_EQ(csv(readings),
            "2026-05-04T10:00:00.250Z,,,publish:bus:boiler,publish bus (boiler),t,"
            "number,21.5\r\n");
}

TEST(ExportText, ALineForEachReading) {
  WaitingReadings readings = one(21.5);
  readings.states[0].points.push_back({symbol("on"), true});
  readings.states.push_back({kNoon + 1000, {{symbol("mode"), std::string("auto")}}});
  const DeviceNames names{{"575e", "boiler"}};
  EXPECT_EQ(ExportText(ExportFormat::Csv, {}).head(),
            "time,boot_ms,estimated,device,name,attribute,type,value\r\n");
  EXPECT_EQ(csv(readings, names),
            "2026-05-04T10:00:00.250Z,,,575e,boiler,t,number,21.5\r\n"
            "2026-05-04T10:00:00.250Z,,,575e,boiler,on,boolean,true\r\n"
            "2026-05-04T10:00:01.250Z,,,575e,boiler,mode,string,auto\r\n");
  EXPECT_EQ(ExportText(ExportFormat::Jsonl, {}).head(), "");
  EXPECT_EQ(
      json(readings, names),
      R"({"time":"2026-05-04T10:00:00.250Z","device":"575e","name":"boiler","attribute":"t",)"
      R"("type":"number","value":21.5})"
      "\n"
      R"({"time":"2026-05-04T10:00:00.250Z","device":"575e","name":"boiler","attribute":"on",)"
      R"("type":"boolean","value":true})"
      "\n"
      R"({"time":"2026-05-04T10:00:01.250Z","device":"575e","name":"boiler",)"
      R"("attribute":"mode","type":"string","value":"auto"})"
      "\n");
}

TEST(ExportText, ATimeThatNobodyKnowsIsThatOfTheBoot) {
  EXPECT_EQ(csv(one(1.0, 5000, false)), ",5000,,575e,,t,number,1\r\n");
  EXPECT_EQ(json(one(1.0, 5000, false)),
            R"({"boot_ms":5000,"device":"575e","attribute":"t","type":"number","value":1})"
            "\n");
  EXPECT_EQ(csv(one(1.0, -1)).substr(0, 24), "1969-12-31T23:59:59.999Z");
}

TEST(ExportText, AnEstimatedTimeSaysSo) {
  WaitingReadings readings = one(1.0);
  readings.states[0].estimated = true;
  EXPECT_EQ(csv(readings), "2026-05-04T10:00:00.250Z,,1,575e,,t,number,1\r\n");
  EXPECT_EQ(json(readings),
            R"({"time":"2026-05-04T10:00:00.250Z","estimated":true,"device":"575e",)"
            R"("attribute":"t","type":"number","value":1})"
            "\n");
}

TEST(ExportText, TextStaysWhatItIs) {
  EXPECT_EQ(csv(one(std::string("a, \"b\"\r\nc"))),
            "2026-05-04T10:00:00.250Z,,,575e,,t,string,\"a, \"\"b\"\"\r\nc\"\r\n");
  EXPECT_EQ(csv(one(std::string())), "2026-05-04T10:00:00.250Z,,,575e,,t,string,\r\n");
  for (const std::string text : {"a, \"b\"\r\nc", "", "gr\xc3\xbc\xc3\x9f\x65", "\\", "\x01\t"}) {
    const auto parsed = parse_json(json(one(text)));
    ASSERT_TRUE(parsed);
    EXPECT_EQ((*parsed)["value"], text);
  }
}

// What is read back is the same to the bit, and no shorter text would be.
TEST(ExportText, NumbersAreExact) {
  std::mt19937_64 random(1);  // NOLINT: the same numbers in each run
  std::vector<double> numbers{0.0,
                              -0.0,
                              0.1,
                              1.0 / 3,
                              1e21,
                              1e-7,
                              123456789012345678.0,
                              5e-324,
                              std::numeric_limits<double>::max(),
                              -21.299999237060547};
  while (numbers.size() < 20'000) {
    const auto number = std::bit_cast<double>(random());
    if (std::isfinite(number)) numbers.push_back(number);
  }
  for (const double number : numbers) {
    std::string line = csv(one(number));
    line.resize(line.size() - 2);
    const std::string text = line.substr(line.rfind(',') + 1);
    double back = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), back);
    ASSERT_TRUE(error == std::errc() && end == text.data() + text.size()) << text;
    ASSERT_EQ(std::bit_cast<uint64_t>(back), std::bit_cast<uint64_t>(number)) << text;
    const auto parsed = parse_json(json(one(number)));
    ASSERT_TRUE(parsed);
    if (text == "-0") continue;  // JSON libraries take it for an integer
    ASSERT_EQ(std::bit_cast<uint64_t>((*parsed)["value"].get<double>()),
              std::bit_cast<uint64_t>(number))
        << text;
  }
}

TEST(ExportText, ADeviceIsFoundByNameOrId) {
  const DeviceNames names{{"575e", "boiler"}, {"575f", "meter"}};
  EXPECT_EQ(device_id_of(names, "meter"), "575f");
  EXPECT_EQ(device_id_of(names, "575e"), "575e");
  EXPECT_EQ(device_id_of(names, "5760"), "5760");
}

}  // namespace
}  // namespace fieldpost
