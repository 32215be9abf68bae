// SPDX-License-Identifier: Apache-2.0
#include "model/rate_limits.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

double seconds(nanoseconds age) { return std::chrono::duration<double>(age).count(); }

TEST(StretchedAge, IsWhatWasAskedForUpToADozenDevices) {
  for (int64_t devices = 0; devices <= 13; ++devices) {
    EXPECT_EQ(stretched_age(1s, kLosantLimits, devices), 1s) << devices;
  }
  EXPECT_GT(stretched_age(1s, kLosantLimits, 14), 1s);
}

TEST(StretchedAge, OfFiftyDevicesIsLessThanFourSeconds) {
  const std::vector<nanoseconds> fifty(50, 1s);
  EXPECT_NEAR(seconds(stretched_age(1s, kLosantLimits, fifty)), 3.83, 0.01);
  EXPECT_NEAR(seconds(stretched_age(1s, kLosantLimits, int64_t{50})), 3.83, 0.01);
}

TEST(StretchedAge, OneTopicHasALimitToo) {
  EXPECT_NEAR(seconds(stretched_age(0s, kLosantLimits, int64_t{1})), 0.765, 0.001);
}

TEST(StretchedAge, WithoutLimitsNothingIsStretched) {
  EXPECT_EQ(stretched_age(0s, RateLimits{}, int64_t{1000}), 0s);
  EXPECT_EQ(stretched_age(0s, RateLimits{}, std::vector<nanoseconds>(1000, 0s)), 0s);
}

// Fifty meters that are read once a minute need no more than their fifty messages a minute.
TEST(StretchedAge, RareSamplesLeaveTheirPartToOthers) {
  EXPECT_EQ(stretched_age(1s, kLosantLimits, std::vector<nanoseconds>(50, 60s)), 1s);
  std::vector<nanoseconds> mixed(50, 60s);
  mixed.resize(70, 1s);
  const double age = seconds(stretched_age(1s, kLosantLimits, mixed));
  EXPECT_GT(age, 1.53);  // of 20 devices alone
  EXPECT_LT(age, 2);
}

// Whatever the intervals, all together stay within their part, and not much below it.
TEST(StretchedAge, FillsItsPart) {
  std::minstd_rand random(7);
  for (int round = 0; round < 500; ++round) {
    std::vector<nanoseconds> intervals(1 + random() % 300);
    for (nanoseconds& i : intervals) i = std::chrono::milliseconds(random() % 60'000);
    const nanoseconds age = stretched_age(1s, kLosantLimits, intervals);
    double messages = 0;  // in a window
    for (const nanoseconds i : intervals) messages += 15 / seconds(std::max(i, age));
    EXPECT_LE(messages, 196.01);
    if (age > 1s) {
      EXPECT_GT(messages, 195.9);
    }
  }
}

}  // namespace
}  // namespace fieldpost
