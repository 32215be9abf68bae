// SPDX-License-Identifier: Apache-2.0
#include "host/report_filter.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using When = ReportRule::When;

class ReportFilterTest : public ::testing::Test {
 protected:
  // One attribute of the unit, whose rule this is.
  void use(const ReportRule& rule, nanoseconds interval = {}) {
    Declaration declaration;
    declaration.attributes = {{.spec = {.name = "level"}, .unit = 0, .section = 0}};
    InstanceConfig config;
    config.sections.resize(1);
    config.reports = {rule};
    config.interval = interval;
    filter_ = ReportFilter(declaration, config);
  }
  // What is left of a reading at this second; nothing if it stays.
  std::optional<Reading> pass(double second, Reading reading) {
    Sample sample{BootTime(std::chrono::round<nanoseconds>(std::chrono::duration<double>(second))),
                  {std::move(reading)}};
    filter_.apply(sample);
    if (sample.readings.empty()) return std::nullopt;
    return sample.readings[0];
  }
  std::optional<Reading> pass(double second, Value value) {
    return pass(second, Reading{.value = std::move(value)});
  }
  std::optional<Reading> bad(double second, const std::string& why) {
    return pass(second, Reading{.quality = Quality::CommError, .detail = why});
  }

  ReportFilter filter_;
};

TEST_F(ReportFilterTest, AlwaysIsAll) {
  use({.when = When::Always});
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(pass(i, 1.0));
}

TEST_F(ReportFilterTest, AChangeLeavesAndTheSameAgainAfterAPeriod) {
  use({.when = When::ChangeOrPeriod, .period = 60s});
  EXPECT_TRUE(pass(0, 1.0));
  EXPECT_FALSE(pass(1, 1.0));
  EXPECT_TRUE(pass(2, 1.5));
  EXPECT_FALSE(pass(61, 1.5));
  EXPECT_TRUE(pass(62, 1.5));
  EXPECT_FALSE(pass(63, 1.5));
  EXPECT_TRUE(pass(64, std::string("text")));
  EXPECT_FALSE(pass(65, std::string("text")));
  EXPECT_TRUE(pass(66, true));
  EXPECT_TRUE(pass(67, false));
}

// Polls of 60 s that take now 40 ms and now 38 ms.
TEST_F(ReportFilterTest, APeriodEndsWithTheNearestPoll) {
  use({.when = When::ChangeOrPeriod, .period = 60s}, 60s);
  EXPECT_TRUE(pass(0.04, 1.0));
  EXPECT_TRUE(pass(60.038, 1.0));
  use({.when = When::ChangeOrPeriod, .period = 60s}, 20s);
  EXPECT_TRUE(pass(0.04, 1.0));
  EXPECT_FALSE(pass(20.0, 1.0));
  EXPECT_FALSE(pass(40.0, 1.0));
  EXPECT_TRUE(pass(60.0, 1.0));
}

TEST_F(ReportFilterTest, WithoutAPeriodOnlyAChangeDoes) {
  use({.when = When::Change, .period = 60s});
  EXPECT_TRUE(pass(0, 1.0));
  EXPECT_FALSE(pass(1'000'000, 1.0));
}

TEST_F(ReportFilterTest, ADeadbandIsFromWhatLeftLastSoThatNothingCreepsAway) {
  use({.when = When::Change, .deadband = 0.5});
  EXPECT_TRUE(pass(0, 10.0));
  EXPECT_FALSE(pass(1, 10.3));
  EXPECT_FALSE(pass(2, 10.5));
  EXPECT_TRUE(pass(3, 10.6));
  EXPECT_FALSE(pass(4, 10.2));
  EXPECT_TRUE(pass(5, 10.0));
}

TEST_F(ReportFilterTest, APercentageIsOfTheLastAndTheWiderOneCounts) {
  use({.when = When::Change, .deadband = 1, .deadband_percent = 10});
  EXPECT_TRUE(pass(0, -100.0));
  EXPECT_FALSE(pass(1, -110.0));
  EXPECT_TRUE(pass(2, -110.5));
  EXPECT_TRUE(pass(3, 2.0));
  EXPECT_FALSE(pass(4, 2.9));  // 10 % of 2 are less than 1
  EXPECT_TRUE(pass(5, 0.5));
}

TEST_F(ReportFilterTest, EachChangeOfQualityLeavesAndWhatComesAfterIt) {
  use({.when = When::ChangeOrPeriod, .period = 60s});
  EXPECT_TRUE(pass(0, 1.0));
  EXPECT_TRUE(bad(1, "no answer"));
  EXPECT_FALSE(bad(2, "no answer"));
  EXPECT_TRUE(bad(3, "exception 2"));
  EXPECT_TRUE(bad(63, "exception 2"));  // for the status
  EXPECT_TRUE(pass(64, 1.0));           // the same value, and it is good again
  EXPECT_FALSE(pass(65, 1.0));
}

TEST_F(ReportFilterTest, WhatIsFromBeforeIsNotHeldAgainstAnything) {
  use({.when = When::Change});
  EXPECT_TRUE(pass(10, 1.0));
  EXPECT_TRUE(pass(5, 1.0));
}

TEST_F(ReportFilterTest, ANumberBeyondItsLimitsIsNoValue) {
  use({.when = When::Always, .min = -40, .max = 85});
  for (const double fine : {-40.0, 0.0, 85.0}) EXPECT_EQ(pass(0, fine)->quality, Quality::Good);
  const auto high = pass(1, 85.5);
  EXPECT_EQ(high->quality, Quality::OutOfRange);
  EXPECT_EQ(high->detail, "85.5 is above valid_max, 85");
  EXPECT_EQ(pass(2, -127.0)->detail, "-127 is below valid_min, -40");
  EXPECT_EQ(pass(3, std::string("text"))->quality, Quality::Good);
}

TEST_F(ReportFilterTest, ANumberIsScaledBeforeItIsJudged) {
  use({.max = 30, .scale = 0.1, .offset = -5});
  EXPECT_EQ(pass(0, 253.0)->value, Value(20.3));  // and not 20.300000000000001
  EXPECT_EQ(pass(1, 351.0)->detail, "30.1 is above valid_max, 30");
  EXPECT_EQ(pass(2, true)->value, Value(true));
  EXPECT_EQ(pass(3, std::string("3"))->value, Value(std::string("3")));
  use({.scale = 1e300});
  EXPECT_EQ(pass(0, 1e300)->detail, "1e+300 is too large to be scaled");
  EXPECT_EQ(bad(1, "no answer")->quality, Quality::CommError);
}

TEST_F(ReportFilterTest, DecimalsAreOfWhatIsReportedAndWholeNumbersStayExact) {
  use({.decimals = 2});
  EXPECT_EQ(pass(0, 2.345678)->value, Value(2.35));
  for (const double whole : {9007199254740993.0, -9007199254740991.0, 1.8446744073709552e19, 1e300})
    EXPECT_EQ(pass(1, whole)->value, Value(whole));
  use({});
  for (const double number : {0.1 + 0.2, 9007199254740991.0, -4.9e-324})
    EXPECT_EQ(pass(1, number)->value, Value(number));
  use({.when = When::Change, .decimals = 1});  // noise below the last digit is no change
  EXPECT_TRUE(pass(0, 20.01));
  EXPECT_FALSE(pass(1, 20.04));
  EXPECT_TRUE(pass(2, 20.06));
}

TEST_F(ReportFilterTest, WhatDoesNotChangeThoughItShouldIsStuckUntilItDoes) {
  use({.when = When::ChangeOrPeriod, .period = 60s, .expect_change = 10min});
  EXPECT_EQ(pass(0, 21.0)->quality, Quality::Good);
  EXPECT_FALSE(pass(1, 21.0));
  EXPECT_EQ(pass(599, 21.0)->quality, Quality::Good);  // a period has gone by
  const auto stuck = pass(600, 21.0);
  EXPECT_EQ(stuck->quality, Quality::Stuck);
  EXPECT_EQ(stuck->detail, "the same for 10min or longer");
  EXPECT_FALSE(pass(601, 21.0));
  EXPECT_EQ(pass(602, 21.1)->quality, Quality::Good);
  EXPECT_FALSE(pass(603, 21.1));
}

TEST_F(ReportFilterTest, TellsWhichGoodOnesItHeldBack) {
  use({.when = When::Change});
  EXPECT_TRUE(pass(1, 1.0));
  EXPECT_FALSE(filter_.take_held());
  EXPECT_FALSE(pass(2, 1.0));
  EXPECT_FALSE(pass(3, 1.0));
  EXPECT_EQ(filter_.take_held(), (message::Held{BootTime(3s), {0}, {}}));
  EXPECT_FALSE(filter_.take_held());
  EXPECT_FALSE(pass(4, 1.0));
  EXPECT_EQ(filter_.take_held(), (message::Held{BootTime(4s), {0}, {}}));
  EXPECT_TRUE(bad(5, "no answer"));
  EXPECT_FALSE(bad(6, "no answer"));
  EXPECT_FALSE(filter_.take_held());
}

TEST_F(ReportFilterTest, AfterARenewalTheSameValueLeavesOnce) {
  use({.when = When::Change});
  EXPECT_TRUE(pass(1, 1.0));
  filter_.renew();
  EXPECT_TRUE(pass(2, 1.0));
  EXPECT_FALSE(pass(3, 1.0));
}

TEST_F(ReportFilterTest, WhatComesWithTwoPollsInARowComesWithPolls) {
  use({.when = When::Always});
  const auto polled = [&](double second, bool reads) {
    filter_.poll_begins(0);
    if (reads) (void)pass(second, 1.0);
    filter_.poll_ends(true);
    const auto held = filter_.take_held();
    return held ? held->polled : std::vector<uint32_t>();
  };
  EXPECT_TRUE(polled(1, true).empty());
  (void)pass(1.5, 1.0);  // an event
  EXPECT_TRUE(polled(2, false).empty());
  EXPECT_TRUE(polled(3, true).empty());
  EXPECT_EQ(polled(4, true), (std::vector<uint32_t>{0}));
  EXPECT_TRUE(polled(5, true).empty());  // told once
}

// What a good poll leaves out, such as the width of pulses while there are none, is not missed.
TEST_F(ReportFilterTest, WhatAGoodPollLeavesOutNoLongerComesWithPolls) {
  use({.when = When::Always});
  const auto poll = [&](double second, auto read, bool good = true) {
    filter_.poll_begins(0);
    read(second);
    filter_.poll_ends(good);
    return filter_.take_held().value_or(message::Held{});
  };
  const auto value = [&](double second) { (void)pass(second, 1.0); };
  const auto nothing = [](double) {};
  (void)poll(1, value);
  EXPECT_EQ(poll(2, value).polled, (std::vector<uint32_t>{0}));
  EXPECT_TRUE(poll(3, nothing, false).unpolled.empty());  // nobody answered: that is missed
  EXPECT_TRUE(poll(4, [&](double second) { (void)bad(second, "broken"); }).unpolled.empty());
  EXPECT_EQ(poll(5, nothing).unpolled, (std::vector<uint32_t>{0}));
  EXPECT_TRUE(poll(6, nothing).unpolled.empty());  // told once
  (void)poll(7, value);
  EXPECT_EQ(poll(8, value).polled, (std::vector<uint32_t>{0}));
  filter_.renew();
  (void)poll(9, value);
  EXPECT_EQ(poll(10, value).polled, (std::vector<uint32_t>{0}));  // told anew
}

TEST_F(ReportFilterTest, TakesOneOfASampleAndLeavesTheOther) {
  Declaration declaration;
  declaration.attributes = {{.spec = {.name = "all"}, .unit = 0, .section = 1},
                            {.spec = {.name = "changes"}, .unit = 0, .section = 2},
                            {.spec = {.name = "unit"}, .unit = 0, .section = 0},
                            {.spec = {.name = "named"}, .unit = 0, .section = 2}};
  InstanceConfig config;
  config.sections.resize(3);
  config.units = {1};
  config.reports = {{.when = When::Change}, {.when = When::Always}, {.when = When::Change}};
  config.named_reports = {{"named", {ReportKeys::When, {.when = When::Always}}}};
  ReportFilter filter(declaration, config);
  const auto left = [&](double second) {
    Sample sample{BootTime(std::chrono::round<nanoseconds>(std::chrono::duration<double>(second))),
                  {}};
    for (uint32_t i = 0; i < 4; ++i) sample.readings.push_back({.attribute = i, .value = 1.0});
    filter.apply(sample);
    std::vector<uint32_t> attributes;
    for (const Reading& reading : sample.readings) attributes.push_back(reading.attribute);
    return attributes;
  };
  EXPECT_EQ(left(0), (std::vector<uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(left(1), (std::vector<uint32_t>{0, 2, 3}));  // 2: without a row, as its unit
}

}  // namespace
}  // namespace fieldpost
