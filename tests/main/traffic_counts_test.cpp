// SPDX-License-Identifier: Apache-2.0
#include "main/traffic_counts.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace fieldpost {
namespace {

constexpr int64_t kDay = 86'400'000;
constexpr int64_t kNovember = 1'795'780'256'802;  // 2026-11-27

TEST(TrafficCounts, CountsByDeviceAndMonth) {
  TrafficCounts traffic;
  traffic.count("a", 100, kNovember);
  traffic.count("a", 10, kNovember);
  traffic.count("b", 1, kNovember);
  traffic.count("a", 5, kNovember + 10 * kDay);
  const auto months = traffic.months(kNovember + 10 * kDay);
  ASSERT_EQ(months.size(), 2u);
  EXPECT_EQ(months[0].name, "2026-12");
  EXPECT_EQ(months[0].all().payloads, 1);
  EXPECT_EQ(months[1].devices.at("a").payloads, 2);
  EXPECT_EQ(months[1].devices.at("a").bytes, 110);
  EXPECT_EQ(months[1].all().bytes, 111);
  EXPECT_FALSE(months[0].at_least);
}

TEST(TrafficCounts, ComesBackAsItWasWhereNothingWasLost) {
  TrafficCounts before;
  before.count("a", 100, kNovember);
  for (const auto& [complete, newest] : {std::pair(true, false), std::pair(false, true)}) {
    TrafficCounts after;
    after.count("a", 1, kNovember);
    ASSERT_TRUE(after.restore(before.text(complete), newest, kNovember));
    after.count("a", 1, kNovember);
    ASSERT_EQ(after.months(kNovember).size(), 1u);
    EXPECT_EQ(after.months(kNovember)[0].all().bytes, 101);
    EXPECT_FALSE(after.months(kNovember)[0].at_least);
  }
}

TEST(TrafficCounts, AfterAPowerCutItSaysThatTheCountIsALeast) {
  TrafficCounts before;
  before.count("a", 100, kNovember - 30 * kDay);
  before.count("a", 100, kNovember);
  TrafficCounts after;
  ASSERT_TRUE(after.restore(before.text(false), false, kNovember));
  after.count("a", 100, kNovember + 10 * kDay);
  after.count("a", 100, kNovember + 40 * kDay);
  const auto months = after.months(kNovember + 40 * kDay);
  ASSERT_EQ(months.size(), 4u);
  EXPECT_FALSE(months[0].at_least) << months[0].name;
  EXPECT_TRUE(months[1].at_least) << months[1].name << ": it may have begun before the cut";
  EXPECT_TRUE(months[2].at_least) << months[2].name;
  EXPECT_FALSE(months[3].at_least) << months[3].name;
  TrafficCounts again;
  ASSERT_TRUE(again.restore(after.text(true), false, kNovember));
  EXPECT_TRUE(again.months(kNovember + 40 * kDay)[1].at_least) << "for good";
}

TEST(TrafficCounts, KeepsAYear) {
  TrafficCounts traffic;
  for (int i = 0; i < 30; ++i) traffic.count("a", 1, kNovember + i * 31 * kDay);
  EXPECT_EQ(traffic.months(kNovember).size(), TrafficCounts::kMonths);
  traffic.count("a", 7, 0);  // no clock yet
  EXPECT_EQ(traffic.months(kNovember + 30 * 31 * kDay).back().name, "1970-01");
  EXPECT_EQ(traffic.months(0).front().name, "1970-01");
  EXPECT_EQ(traffic.months(0).size(), TrafficCounts::kMonths);
}

// A clock that was far ahead once must not have the last word.
TEST(TrafficCounts, AMonthThatIsYetToComeIsNotThisOne) {
  TrafficCounts traffic;
  traffic.count("a", 100, kNovember - 30 * kDay);
  traffic.count("a", 7, kNovember + 3650 * kDay);
  traffic.count("a", 10, kNovember);
  const auto months = traffic.months(kNovember);
  ASSERT_EQ(months.size(), 3u);
  EXPECT_EQ(months[0].name, "2026-11");
  EXPECT_EQ(months[1].name, "2026-10");
  EXPECT_EQ(months[2].name, "2036-11");
  TrafficCounts torn;
  ASSERT_TRUE(torn.restore(traffic.text(false), false, kNovember));
  EXPECT_TRUE(torn.months(kNovember)[0].at_least) << "it was counted then";
  EXPECT_FALSE(torn.months(kNovember)[2].at_least);
  for (int i = 0; i < 13; ++i) traffic.count("a", 1, kNovember + i * 31 * kDay);
  const auto full = traffic.months(kNovember + 12 * 31 * kDay);
  ASSERT_EQ(full.size(), TrafficCounts::kMonths);
  EXPECT_EQ(full.back().name, "2026-11") << "the oldest; what is yet to come went first";
}

TEST(TrafficCounts, WhatIsNoRecordChangesNothing) {
  TrafficCounts traffic;
  traffic.count("a", 100, kNovember);
  for (const char* text :
       {"", "{", "[]", "{}", R"({"months":7})", R"({"months":{"2026-11":7}})",
        R"({"months":{"x":{"devices":{}}}})", R"({"months":{"2026-11":{"devices":{"a":[1]}}}})",
        R"({"months":{"2026-11":{"devices":{"a":[1,-1]}}}})",
        R"({"months":{"2026-11":{"devices":{"a":[1,"2"]}}}})"}) {
    EXPECT_FALSE(traffic.restore(text, true, kNovember)) << text;
  }
  EXPECT_EQ(traffic.months(kNovember).at(0).all().bytes, 100);
}

TEST(TrafficCounts, IsCountedByAnyThread) {
  TrafficCounts traffic;
  const auto count = [&] {
    for (int i = 0; i < 1000; ++i) traffic.count("a", 1, kNovember);
  };
  std::thread other(count);
  count();
  other.join();
  EXPECT_EQ(traffic.months(kNovember).at(0).all().payloads, 2000);
}

}  // namespace
}  // namespace fieldpost
