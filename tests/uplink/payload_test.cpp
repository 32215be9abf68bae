// SPDX-License-Identifier: Apache-2.0
#include "uplink/payload.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include "base/json.hpp"
#include "model/state_meta.hpp"

namespace fieldpost::payload {
namespace {

// FIELDPOST_LONG=1 runs the full counts.
int64_t count(int64_t reduced, int64_t full) {
  const char* text = std::getenv("FIELDPOST_LONG");
  return text != nullptr && *text == '1' ? full : reduced;
}

std::string number(double value) {
  std::string text;
  append_number(text, value);
  return text;
}

// Reads back as the same double, bit for bit, for the C library and for a JSON parser.
::testing::AssertionResult round_trips(double value) {
  const std::string text = number(value);
  const auto json = parse_json(text);
  if (!json || !json->is_number()) return ::testing::AssertionFailure() << text << " is no number";
  const double read = std::strtod(text.c_str(), nullptr);
  const bool same = std::bit_cast<uint64_t>(read) == std::bit_cast<uint64_t>(value) &&
                    std::bit_cast<uint64_t>(json->get<double>()) == std::bit_cast<uint64_t>(value);
  if (same) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << text << " for " << std::hexfloat << value;
}

TEST(Payload, NumbersAreAsShortAsPeopleWriteThem) {
  EXPECT_EQ(number(0), "0");
  EXPECT_EQ(number(1.5), "1.5");
  EXPECT_EQ(number(-21.25), "-21.25");
  EXPECT_EQ(number(0.1), "0.1");
  EXPECT_EQ(number(0.0001), "0.0001");
  EXPECT_EQ(number(-0.05), "-0.05");
  EXPECT_EQ(number(100000), "100000");
  EXPECT_EQ(number(1234567.8901), "1234567.8901");
  EXPECT_EQ(number(99999999999.0), "99999999999");
  EXPECT_EQ(number(-0.0), "-0.0");
  EXPECT_EQ(number(0.1 + 0.2), "0.30000000000000004");
}

TEST(Payload, EveryKindOfDoubleRoundTrips) {
  std::mt19937_64 random(20240601);
  std::uniform_int_distribution<int64_t> integers(-2'000'000'000'000, 2'000'000'000'000);
  std::uniform_int_distribution<int> places(0, 6);
  const int64_t n = count(200'000, 5'000'000);
  for (int64_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<double>(random());
    if (std::isfinite(bits)) {
      ASSERT_TRUE(round_trips(bits));
    }
    const double decimal =
        static_cast<double>(integers(random) % 1'000'000'000) / std::pow(10.0, places(random));
    ASSERT_TRUE(round_trips(decimal));
    // One step beside a decimal: what the fast path must not round.
    ASSERT_TRUE(round_trips(std::nextafter(decimal, 1e300)));
    ASSERT_TRUE(round_trips(static_cast<double>(integers(random))));
    ASSERT_TRUE(round_trips(static_cast<double>(static_cast<float>(decimal))));
  }
  using Limits = std::numeric_limits<double>;
  for (const double edge :
       {Limits::min(), Limits::max(), Limits::lowest(), Limits::denorm_min(), Limits::epsilon(),
        1e11, 1e11 - 0.0001, 9007199254740993.0, 1e15, 1e22, 0.00005, 99999999999.9999}) {
    ASSERT_TRUE(round_trips(edge));
    ASSERT_TRUE(round_trips(-edge));
    ASSERT_TRUE(round_trips(std::nextafter(edge, 0)));
  }
}

TEST(Payload, TextIsEscapedAsTheRfcAsks) {
  std::string out;
  append_text(out, "a\"b\\c\n\r\t\b\f\x01\x1f\x7f/é€😀");
  EXPECT_EQ(out, "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f\x7f/é€😀\"");
  for (int c = 0; c < 0x80; ++c) {
    const std::string text(3, static_cast<char>(c));
    std::string json;
    append_text(json, text);
    const auto read = parse_json(json);
    ASSERT_TRUE(read) << json;
    EXPECT_EQ(read->get<std::string>(), text);
  }
}

TEST(Payload, StatesAreWhatTheyWereMadeOf) {
  const std::string a = "a";
  const std::string b = "b_2-x";
  const std::string c = "c";
  std::string out;
  append_state(out, 1700000000123,
               std::vector<Point>{{&a, 1.5}, {&b, true}, {&c, std::string("te\"xt")}, {&c, false}});
  EXPECT_EQ(out, R"({"time":1700000000123,"data":{"a":1.5,"b_2-x":true,"c":"te\"xt","c":false}})");
}

TEST(Payload, AnEstimatedTimeIsSaidInTheMeta) {
  const std::string a = "a";
  std::string out;
  append_state(out, 1700000000123, std::vector<Point>{{&a, 1.5}}, true);
  EXPECT_EQ(out, R"({"time":1700000000123,"data":{"a":1.5},"meta":{"time_estimated":true}})");
}

TEST(Payload, WhatAccompaniesReadingsIsInTheMeta) {
  const std::string a = "a";
  const std::string sequence(state_meta::kSequence);
  const std::string quality = std::string(state_meta::kQuality) + "b";
  const std::string age = std::string(state_meta::kGoodAge) + "b";
  const std::string other = std::string(state_meta::kQuality) + "c";
  const std::string remark = std::string(state_meta::kRemark) + "a";
  std::string out;
  append_state(out, 1700000000123,
               std::vector<Point>{{&age, 61000.0},
                                  {&quality, std::string("comm-error")},
                                  {&a, 1.5},
                                  {&sequence, 7.0},
                                  {&remark, std::string("lower bound")},
                                  {&other, std::string("stale")}},
               true);
  EXPECT_EQ(out, R"({"time":1700000000123,"data":{"a":1.5},"meta":{"sequence":7,)"
                 R"("quality":{"b":"comm-error","c":"stale"},"good_age":{"b":61000},)"
                 R"("remark":{"a":"lower bound"},"time_estimated":true}})");
  out.clear();
  append_state(out, 1700000000123, std::vector<Point>{{&sequence, 7.0}, {&a, 1.5}});
  EXPECT_EQ(out, R"({"time":1700000000123,"data":{"a":1.5},"meta":{"sequence":7}})");
}

TEST(Payload, SizesAreBoundsOfWhatIsWritten) {
  const std::string name(255, 'n');
  std::mt19937_64 random(7);
  for (int64_t i = 0; i < count(20'000, 1'000'000); ++i) {
    Point point{&name, std::bit_cast<double>(random())};
    if (i % 3 == 0) point.value = std::string(random() % 50, static_cast<char>(random() % 0x40));
    if (i % 7 == 0) point.value = i % 2 == 0;
    if (point.value.index() == 0 && !std::isfinite(std::get<double>(point.value))) continue;
    std::string out;
    append_state(out, std::numeric_limits<int64_t>::min(), {&point, 1}, true);
    ASSERT_LE(out.size(), kStateOverhead + max_size(point));
  }
  std::vector<std::string> names = {"a", std::string(state_meta::kSequence)};
  for (const auto prefix : {state_meta::kQuality, state_meta::kGoodAge, state_meta::kRemark}) {
    names.push_back(std::string(prefix) + "a");
  }
  std::vector<Point> points;
  size_t bound = kStateOverhead;
  for (const std::string& each : names) {
    points.push_back({&each, -std::numeric_limits<double>::max()});
    bound += max_size(points.back());
  }
  std::string out;
  append_state(out, std::numeric_limits<int64_t>::min(), points, true);
  EXPECT_LE(out.size(), bound);
}

}  // namespace
}  // namespace fieldpost::payload
