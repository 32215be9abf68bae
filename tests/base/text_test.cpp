// SPDX-License-Identifier: Apache-2.0
#include "base/text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

TEST(Duration, IsReadAndWritten) {
  const std::pair<const char*, std::chrono::nanoseconds> cases[] = {
      {"250ms", 250ms}, {"5s", 5s}, {"1.5h", 90min}, {"10min", 10min},
      {"30d", 720h},    {"0s", 0s}, {"2 s", 2s},     {"1us", 1us}};
  for (const auto& [text, expected] : cases) {
    const auto parsed = parse_duration(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, expected) << text;
    EXPECT_EQ(*parse_duration(format_duration(expected)), expected);
  }
  for (const char* bad : {"", "5", "s", "-1s", "5 m", "5S", "1e400s", "nans", "20000d", "5s "}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
  EXPECT_EQ(format_duration(90min), "90min");
}

TEST(ReplaceAll, TakesEachPlaceAndNotWhatItPutIn) {
  const auto replaced = [](std::string text, std::string_view from, std::string_view to) {
    replace_all(text, from, to);
    return text;
  };
  EXPECT_EQ(replaced("a-b-a", "a", "aa"), "aa-b-aa");
  EXPECT_EQ(replaced("xx", "x", ""), "");
  EXPECT_EQ(replaced("none", "x", "y"), "none");
  EXPECT_EQ(replaced("none", "", "y"), "none");
}

TEST(Duration, ForPeople) {
  EXPECT_EQ(about(5ms), "5 ms");
  EXPECT_EQ(about(1500ms), "1.5 s");
  EXPECT_EQ(about(125s), "2 min 5 s");
  EXPECT_EQ(about(3h + 4min), "3 h 4 min");
  EXPECT_EQ(about(76h), "3 d 4 h");
}

TEST(Size, IsReadAndWritten) {
  EXPECT_EQ(*parse_size("64KiB"), 65536);
  EXPECT_EQ(*parse_size("512MB"), 512'000'000);
  EXPECT_EQ(*parse_size("0B"), 0);
  for (const char* bad : {"", "5", "5mb", "-1B", "0.3B", "1e30GB"})
    EXPECT_FALSE(parse_size(bad)) << bad;
  EXPECT_EQ(format_size(999), "999 B");
  EXPECT_EQ(format_size(12'400'000), "12.4 MB");
  EXPECT_EQ(format_size(999'999), "1.0 MB");
}

TEST(Number, TheShortestTextReadsBackAsTheSame) {
  EXPECT_EQ(format_number(100000), "100000");
  EXPECT_EQ(format_number(0.1), "0.1");
  EXPECT_EQ(format_number(-0.0), "-0");
  std::mt19937_64 random(test::seed());
  for (int i = 0; i < 20'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    ASSERT_EQ(std::bit_cast<uint64_t>(*parse_number(format_number(value))),
              std::bit_cast<uint64_t>(value));
  }
  for (const char* bad : {"", "x", "1x", "nan", "inf", " 1", "0x10"})
    EXPECT_FALSE(parse_number(bad));
}

TEST(Nearest, FindsASlipAndLeavesStrangersAlone) {
  const std::string_view known[] = {"interval", "device", "name", "type"};
  EXPECT_EQ(nearest("intervall", known), "interval");
  EXPECT_EQ(nearest("devcie", known), "device");
  EXPECT_EQ(nearest("temperature", known), "");
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(nearest(std::string(100'000, 'x'), known), "");
}

TEST(Printable, WhatStrangersSendIsTamed) {
  EXPECT_EQ(printable("a\x1b[2Jb\n"), "a\\x1b[2Jb\\x0a");
  EXPECT_EQ(printable("grün \xff"), "grün \\xff");
  EXPECT_EQ(printable(std::string(50, 'a'), 10), std::string(10, 'a') + "…");
}

TEST(Utf8, KnowsTheForbiddenForms) {  // RFC 3629 §4
  EXPECT_TRUE(is_utf8("aé€😀"));
  for (const char* bad : {"\x80", "\xc0\xaf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xf5\x80\x80\x80", "\xe2\x82"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

}  // namespace
}  // namespace fieldpost
