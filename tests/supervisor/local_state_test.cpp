// SPDX-License-Identifier: Apache-2.0
#include "supervisor/local_state.hpp"

#include <gtest/gtest.h>

#include "model/names.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr int64_t kNow = 1'700'000'000'000;

class LocalStateTest : public testing::Test {
 protected:
  LocalStateTest() {
    config_.devices = {{"gateway", "aaaaaaaaaaaaaaaaaaaaaaaa", {}},
                       {"boiler", "bbbbbbbbbbbbbbbbbbbbbbbb", {}}};
    local_.configure(config_);
  }
  Result<DeviceSample> parse(const std::string& json, nanoseconds now = 10s) {
    return local_.parse(*parse_json(json), BootTime(now), kNow);
  }
  std::string complaint(const std::string& json) {
    const auto r = parse(json);
    return r ? "accepted" : r.error().message;
  }
  Config config_;
  SymbolTable symbols_;
  LocalState local_{symbols_};
};

TEST_F(LocalStateTest, TakesNumbersBooleansAndText) {
  const auto s = parse(R"({"do":"send","device":"boiler","data":{"t":21.5,"on":true,"n":"x"}})");
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(*s->device, "bbbbbbbbbbbbbbbbbbbbbbbb");
  EXPECT_EQ(s->time.base, CaptureTime::Base::ThisBoot);
  EXPECT_EQ(s->time.ms, 10'000);
  EXPECT_EQ(s->points.size(), 3u);
}

TEST_F(LocalStateTest, KeepsAStampThatWasGiven) {
  const auto s =
      parse(R"({"device":"aaaaaaaaaaaaaaaaaaaaaaaa","data":{"t":1},"time":1699999999000})");
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(s->time.base, CaptureTime::Base::Utc);
  EXPECT_EQ(s->time.ms, 1'699'999'999'000);
}

TEST_F(LocalStateTest, TwoAtOnceGetTwoStamps) {
  EXPECT_EQ(parse(R"({"device":"boiler","data":{"t":1}})")->time.ms, 10'000);
  EXPECT_EQ(parse(R"({"device":"boiler","data":{"t":2}})")->time.ms, 10'001);
  EXPECT_EQ(parse(R"({"device":"boiler","data":{"u":2}})")->time.ms, 10'000);
}

TEST_F(LocalStateTest, SaysWhatIsWrong) {
  EXPECT_EQ(complaint(R"({"device":"boilr","data":{"t":1}})"),
            "no device 'boilr' in the configuration; did you mean 'boiler'?");
  EXPECT_EQ(complaint(R"({"data":{"t":1}})"), "\"device\": expected a device's name or id");
  EXPECT_EQ(complaint(R"({"device":"boiler","data":{}})"),
            "\"data\": expected an object of attributes, at least one");
  EXPECT_EQ(complaint(R"({"device":"boiler","data":{"t":null}})"),
            "attribute 't': expected a number, true, false or text, got null");
  EXPECT_EQ(complaint(R"({"device":"boiler","data":{"a b":1}})"),
            "attribute 'a b': expected 1 to 255 of 0-9, a-z, A-Z, _ and -");
  EXPECT_EQ(complaint(R"({"device":"boiler","data":{"fp_online":true}})"),
            "attribute 'fp_online': names that begin with 'fp_' are the agent's own");
  EXPECT_EQ(complaint(R"({"device":"boiler","data":{"t":1},"tiem":1})"),
            "unknown key \"tiem\"; known are device, data, time");
  for (const char* time : {"1", "1800000000000", "-5"}) {
    EXPECT_EQ(complaint(R"({"device":"boiler","data":{"t":1},"time":)" + std::string(time) + "}"),
              "\"time\" (milliseconds since 1970): older than 30 days or more than a day ahead; "
              "Losant would ignore it");
  }
}

TEST_F(LocalStateTest, TheAttributesOfADeviceAreBounded) {
  for (int i = 0; i < kMaxAttributes; ++i) {
    ASSERT_TRUE(parse(R"({"device":"boiler","data":{"a)" + std::to_string(i) + R"(":1}})"));
  }
  EXPECT_NE(
      complaint(R"({"device":"boiler","data":{"one-more":1}})").find("256 attributes already"),
      std::string::npos);
  EXPECT_EQ(complaint(R"({"device":"boiler","data":{"a0":1}})"), "accepted");
}

}  // namespace
}  // namespace fieldpost
