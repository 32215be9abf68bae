// SPDX-License-Identifier: Apache-2.0
#include "uplink/lanes.hpp"

#include <gtest/gtest.h>

#include <random>

#include "fakes/test_env.hpp"
#include "uplink/simulated_site.hpp"

namespace fieldpost::test {
namespace {

using namespace std::chrono_literals;

double seconds(nanoseconds time) { return std::chrono::duration<double>(time).count(); }

void expect_within_limits(const SimulatedSite::Seen& seen) {
  EXPECT_LE(seen.most_on_topic, 28);
  EXPECT_LE(seen.most_on_connection, 280);
}

// ---- What has left ahead of its turn.

TEST(Ahead, KnowsRunsOfSamplesAndRowsApart) {
  Ahead ahead;
  ahead.add(item_id::of_sample(10), item_id::of_sample(12), true);
  ahead.add(item_id::of_sample(12), item_id::of_sample(20), true);
  ahead.add(item_id::of_sample(30), item_id::of_sample(31), true);
  EXPECT_FALSE(ahead.contains(item_id::of_sample(10)));
  EXPECT_TRUE(ahead.contains(item_id::of_sample(11)));
  EXPECT_TRUE(ahead.contains(item_id::of_sample(20)));
  EXPECT_FALSE(ahead.contains(item_id::of_sample(21)));
  EXPECT_TRUE(ahead.contains(item_id::of_sample(31)));
  EXPECT_FALSE(ahead.contains(item_id::of_sample(11) + 1)) << "a row";
  ahead.forget_up_to(item_id::of_sample(20));
  EXPECT_FALSE(ahead.contains(item_id::of_sample(11)));
  EXPECT_TRUE(ahead.contains(item_id::of_sample(31)));
}

TEST(Ahead, SaysWhereARunOfRowsEnds) {
  Ahead ahead;
  ahead.add(100, 200, false);
  EXPECT_EQ(ahead.end_of_rows(100), 200);
  EXPECT_EQ(ahead.end_of_rows(150), 200);
  EXPECT_EQ(ahead.end_of_rows(200), 200);
  EXPECT_EQ(ahead.end_of_rows(50), 50);
}

// ---- The window.

class Window : public ::testing::Test {
 protected:
  // Rows of one reading each, of devices of their own.
  void fetched(int64_t first, int64_t last, size_t text = 0, Lane lane = Lane::All) {
    Fetched fetched{.lane = lane, .from = first - 1, .up_to = last};
    for (int64_t row = first; row <= last; ++row) {
      const Value value = text == 0 ? Value(1.0) : Value(std::string(text, 'x'));
      fetched.chunks.push_back(
          {.row = row,
           .device = names_.intern("d" + std::to_string(row)),
           .states = {{.time_ms = row, .points = {{names_.intern("a"), value}}}}});
    }
    lanes_.on_fetched(std::move(fetched));
  }
  int send_all() {
    int n = 0;
    for (; const auto message = lanes_.take_message(now_); ++n) lanes_.sent(*message, ++mid_, now_);
    return n;
  }

  SymbolTable names_;
  BootTime now_{1h};
  std::array<Limiter::Record, Limiter::kRecords> records_{};
  Limiter limiter_{RateLimits{}, records_, now_};
  Quarantine quarantine_{"losant/own/state"};
  Lanes lanes_{{.window_messages = 3, .window_bytes = 20'000}, limiter_, quarantine_};
  int mid_ = 0;
};

TEST_F(Window, IsKeptInMessages) {
  lanes_.on_connected();
  ASSERT_TRUE(lanes_.take_fetch());
  fetched(1, 10);
  EXPECT_EQ(send_all(), 3);
  ASSERT_TRUE(lanes_.acknowledged(2, now_));
  EXPECT_EQ(send_all(), 1);
}

// 16 KB, of which a sample is taken for 60 bytes until one has been acknowledged.
TEST_F(Window, WhatFillsAMessageNeedNotWait) {
  EXPECT_FALSE(lanes_.fills_messages(item_id::of_sample(266)));
  EXPECT_TRUE(lanes_.fills_messages(item_id::of_sample(267)));
  EXPECT_FALSE(lanes_.fills_messages(item_id::of_sample(267) + 1)) << "a row is on the disk";
  lanes_.on_connected();
  lanes_.on_committed(item_id::of_sample(10));
  EXPECT_FALSE(lanes_.fills_messages(item_id::of_sample(276))) << "ten are not new";
  EXPECT_TRUE(lanes_.fills_messages(item_id::of_sample(277)));
  ASSERT_TRUE(lanes_.take_fetch());
  fetched(1, 1, 570);
  ASSERT_EQ(send_all(), 1);
  ASSERT_TRUE(lanes_.acknowledged(mid_, now_));
  EXPECT_TRUE(lanes_.fills_messages(item_id::of_sample(10 + 27)));
  EXPECT_FALSE(lanes_.fills_messages(item_id::of_sample(10 + 26)));
  lanes_.set_options({.window_messages = 3, .window_bytes = 20'000, .devices = 2});
  EXPECT_FALSE(lanes_.fills_messages(item_id::of_sample(10 + 53)));
  EXPECT_TRUE(lanes_.fills_messages(item_id::of_sample(10 + 54)));
}

TEST_F(Window, IsKeptInBytesButOneMessageAlwaysGoes) {
  lanes_.on_connected();
  ASSERT_TRUE(lanes_.take_fetch());
  fetched(1, 10, 9'000);
  EXPECT_EQ(send_all(), 1);
  ASSERT_TRUE(lanes_.acknowledged(1, now_ + 10s));
  EXPECT_EQ(send_all(), 1);
}

// It never fills more than its part of the window, and still shows what the line carries: else each
// state of a device that has many would be a message of its own for ever.
TEST_F(Window, WhatIsLiveOpensItOnAQuickLineAlone) {
  lanes_.set_options({.live_first = true, .window_messages = 100});
  lanes_.on_connected();
  const auto states = [&](int64_t first, int64_t last) {
    Fetched fetched{.lane = Lane::Live, .from = first - 1, .up_to = last};
    for (int64_t row = first; row <= last; ++row) {
      const Point point{names_.intern("a"), std::string(2'600, 'x')};
      fetched.chunks.push_back({.row = row,
                                .device = names_.intern("d"),
                                .states = {{.time_ms = row, .points = {point}}}});
    }
    lanes_.on_fetched(std::move(fetched));
  };
  states(1, 10);
  EXPECT_EQ(send_all(), 1) << "4 KB, of which one state is more than the half";
  for (int64_t row = 11; row <= 200; row += 10) {
    states(row, row + 9);
    for (int mid = 1; mid <= mid_; ++mid) {
      if (lanes_.acknowledged(mid, now_ + 1ms)) send_all();
    }
  }
  EXPECT_EQ(lanes_.in_flight(), 0);
  states(201, 210);
  const auto message = lanes_.take_message(now_);
  ASSERT_TRUE(message);
  EXPECT_GT(message->state.payload.size(), 10'000U) << "several states in one";
}

// Where the disk comes first both lanes come to the same rows.
TEST_F(Window, WhatTheBacklogHasIsNotTakenAsLiveAgain) {
  lanes_.set_options({.live_first = true, .window_messages = 100});
  lanes_.on_connected();
  ASSERT_EQ(lanes_.take_fetch()->lane, Lane::Live);
  lanes_.on_stored(-90);
  fetched(-99, -98, 0, Lane::Live);
  EXPECT_EQ(send_all(), 2);
  ASSERT_EQ(lanes_.take_fetch()->lane, Lane::Live);
  ASSERT_EQ(lanes_.take_fetch()->lane, Lane::Backlog);
  fetched(-99, -95, 0, Lane::Backlog);
  EXPECT_EQ(send_all(), 3) << "two have left";
  fetched(-97, -94, 0, Lane::Live);
  EXPECT_EQ(send_all(), 1) << "three have left";
}

TEST_F(Window, WhatTheLimitsHoldBackIsSaid) {
  limiter_.set_limits({.per_topic = 1});
  lanes_.on_connected();
  ASSERT_TRUE(lanes_.take_fetch());
  fetched(1, 1);
  EXPECT_EQ(send_all(), 1);
  EXPECT_FALSE(lanes_.is_held_back());
  ASSERT_TRUE(lanes_.acknowledged(1, now_));
  lanes_.on_committed(2);
  ASSERT_TRUE(lanes_.take_fetch());
  Fetched again{.from = 1, .up_to = 2};
  again.chunks.push_back({.row = 2,
                          .device = names_.intern("d1"),
                          .states = {{.time_ms = 2, .points = {{names_.intern("a"), 1.0}}}}});
  lanes_.on_fetched(std::move(again));
  EXPECT_EQ(send_all(), 0);
  EXPECT_TRUE(lanes_.is_held_back());
  EXPECT_EQ(lanes_.held_until(), now_ + 15s);
  now_ += 15s;
  EXPECT_EQ(send_all(), 1);
}

// ---- Live readings.

TEST(Lanes, TwelveDevicesAreOneSecondOldAtMost) {
  SimulatedSite site(12, true);
  site.connect();
  site.watch_live();
  site.run(120s);
  EXPECT_LE(seconds(site.seen().oldest_live), 1.2);
  expect_within_limits(site.seen());
}

TEST(Lanes, FiftyDevicesShareTheLimitEvenly) {
  SimulatedSite site(50, true);
  site.connect();
  site.run(20s);
  site.watch_live();
  nanoseconds stalest{};
  site.run_until([&] { return stalest = std::max(stalest, site.stalest()), false; }, 300s);
  EXPECT_NEAR(seconds(site.lanes().batch_age(site.now())), 3.83, 0.01);
  EXPECT_LE(seconds(site.seen().oldest_live), 4);
  EXPECT_LE(seconds(stalest), 5) << "with the second that lies between two samples";
  expect_within_limits(site.seen());
}

// ---- After an outage.

class Outage : public ::testing::TestWithParam<int> {};

TEST_P(Outage, TheNewestIsThereFirstAndTheBacklogDrainsBeside) {
  SimulatedSite site(GetParam(), true);
  site.run(1h, 1s);
  site.connect();
  ASSERT_TRUE(site.run_until([&] { return site.stalest() <= 2s; }, 2s)) << seconds(site.stalest());
  EXPECT_GT(site.backlog_rows(), size_t(100 * GetParam()));
  site.run(2s);
  site.watch_live();
  nanoseconds stalest{};
  const BootTime begin = site.now();
  ASSERT_TRUE(site.run_until(
      [&] {
        stalest = std::max(stalest, site.stalest());
        return site.backlog_rows() == 0;
      },
      1h));
  RecordProperty("drained_s", std::to_string(seconds(site.now() - begin)));
  EXPECT_LE(seconds(site.seen().oldest_live), GetParam() <= 12 ? 2 : 2.5);
  EXPECT_LE(seconds(stalest), GetParam() <= 12 ? 3 : 3.5);
  site.sampling = false;
  EXPECT_TRUE(site.run_until([&] { return site.store().empty(); }, 10s));
  EXPECT_EQ(site.seen().readings, site.appended());
  EXPECT_EQ(site.seen().twice, 0);
  expect_within_limits(site.seen());
}

INSTANTIATE_TEST_SUITE_P(OfSoManyDevices, Outage, ::testing::Values(1, 12, 20));

// A day of twelve devices once a second.
TEST(Lanes, ADayDrainsInMinutes) {
  SimulatedSite site(12, true);
  site.run(is_long() ? 24h : 6h, 1s);
  site.connect();
  site.run(3s);
  site.watch_live();
  const BootTime begin = site.now();
  ASSERT_TRUE(site.run_until([&] { return site.backlog_rows() == 0; }, 1h));
  std::cout << "drained in " << seconds(site.now() - begin) << " s, in " << site.seen().messages
            << " messages, live " << seconds(site.seen().oldest_live) << " s old at most, at most "
            << site.seen().most_on_topic << " on a topic and " << site.seen().most_on_connection
            << " on the connection in 15 s\n";
  EXPECT_LE(site.now() - begin, 10min);
  EXPECT_LE(seconds(site.seen().oldest_live), 2);
  EXPECT_EQ(site.seen().twice, 0);
  expect_within_limits(site.seen());
}

TEST(Lanes, StrictOrderIsStrict) {
  SimulatedSite site(3, false);
  site.line.bytes_per_second = 100'000;
  site.run(6h, 1s);
  site.connect();
  site.run(2s);
  EXPECT_GT(site.stalest(), 10min) << "no shortcut";
  ASSERT_TRUE(site.run_until([&] { return site.stalest() <= 3s; }, 30min));
  for (int d = 0; d < 3; ++d) EXPECT_TRUE(std::ranges::is_sorted(site.order(d)));
  EXPECT_EQ(site.seen().twice, 0);
  expect_within_limits(site.seen());
}

// Each device's backlog ascends; so does what is live.
TEST(Lanes, NothingIsLostOrSentTwiceHoweverOftenTheLineBreaks) {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    std::mt19937 random(seed);
    SimulatedSite site(6, true);
    site.line = {.delay = 0.001 * static_cast<double>(1 << random() % 12),
                 .bytes_per_second = 1000.0 * static_cast<double>(1 << random() % 10)};
    for (int i = 0; i < 20; ++i) {
      site.run(std::chrono::seconds(random() % 60));
      site.connect();
      site.run(std::chrono::seconds(random() % 60));
      site.disconnect();
    }
    site.sampling = false;
    site.connect();
    EXPECT_TRUE(site.run_until([&] { return site.store().empty(); }, 1h)) << seed;
    // What was on its way when the line broke is repeated: all that QoS 1 promises.
    EXPECT_EQ(site.seen().readings - site.seen().twice, site.appended()) << seed;
    expect_within_limits(site.seen());
  }
}

// ---- A device that the broker does not know.

class OneWrong : public ::testing::TestWithParam<bool> {};

TEST_P(OneWrong, AmongTenWaitsAndDelaysNobody) {
  SimulatedSite site(10, GetParam());
  site.forbidden = {"d3"};
  site.connect();
  site.run(10s);
  EXPECT_LE(site.closes, 5);
  const int before = site.closes;
  site.watch_live();
  site.run(10min);
  EXPECT_EQ(site.closes, before) << "it is not tried for a while";
  EXPECT_LE(seconds(site.seen().oldest_live), 2);
  EXPECT_TRUE(site.order(3).empty());
  for (const int d : {0, 2, 4, 9}) EXPECT_GE(site.order(d).size(), 600U) << d;
  EXPECT_LE(site.store().rows_by_sample(), 5U) << "what waits is not held by the uplink";
  // Somebody mends the access key; it is found out in time, and nothing is missing.
  const int64_t twice = site.seen().twice;
  site.forbidden.clear();
  site.run(10min);
  EXPECT_TRUE(site.quarantine().set_aside().empty());
  site.sampling = false;
  EXPECT_TRUE(site.run_until([&] { return site.store().empty(); }, 1min));
  EXPECT_EQ(site.seen().readings - site.seen().twice, site.appended());
  EXPECT_EQ(site.seen().twice, twice) << "in one connection";
  EXPECT_TRUE(GetParam() || std::ranges::is_sorted(site.order(3)));
}

// With the pauses that a broker gets which ends connections.
TEST_P(OneWrong, OrThreeAreFoundBeforeAnybodyNotices) {
  for (const uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
    for (const std::set<std::string>& wrong :
         {std::set<std::string>{"d3"}, {"d0", "d5", "d9"}, {"d7", "d8", "d9"}}) {
      Redial redial(1s, 5min, seed);
      SimulatedSite site(10, GetParam());
      site.redial = &redial;
      site.forbidden = wrong;
      site.connect();
      const auto found = [&] { return site.quarantine().set_aside().size() == wrong.size(); };
      EXPECT_TRUE(site.run_until(found, wrong.size() == 1 ? 5s : 25s))
          << seed << " " << site.closes;
      site.watch_live();
      site.run(10s);
      EXPECT_LE(seconds(site.seen().oldest_live), 2);
    }
  }
}

// The backlog of the one that waits is larger than what the uplink asks for at a time.
TEST_P(OneWrong, WithALongBacklogStopsNobody) {
  SimulatedSite site(2, GetParam(), RateLimits{});
  site.forbidden = {"d0"};
  site.run(12h, 1s);
  site.connect();
  site.run(60s);
  EXPECT_LE(site.closes, 4);
  EXPECT_GE(site.order(1).size(), 43'200U);
  const int64_t twice = site.seen().twice;
  site.forbidden.clear();
  site.run(16min);
  site.sampling = false;
  EXPECT_TRUE(site.run_until([&] { return site.store().empty(); }, 1min));
  EXPECT_EQ(site.seen().readings - site.seen().twice, site.appended());
  EXPECT_EQ(site.seen().twice, twice);
}

// Something old turns up while much is on its way and rows are half sent.
TEST_P(OneWrong, ABacklogThatBeginsAnewSendsNothingTwice) {
  SimulatedSite site(5, GetParam(), RateLimits{});
  site.line = {.delay = 0.05, .bytes_per_second = 30'000};
  site.run(4h, 1s);
  site.connect();
  for (int i = 0; i < 20; ++i) {
    site.run(std::chrono::milliseconds(270));
    site.lanes().on_backlog();
  }
  site.sampling = false;
  EXPECT_TRUE(site.run_until([&] { return site.store().empty(); }, 1h));
  EXPECT_EQ(site.seen().readings, site.appended());
  EXPECT_EQ(site.seen().twice, 0);
}

INSTANTIATE_TEST_SUITE_P(InEachOrder, OneWrong, ::testing::Bool(),
                         [](const auto& p) { return p.param ? "LiveFirst" : "OldestFirst"; });

// ---- Slow lines.

TEST(Lanes, AtTwoKilobytesASecondWhatIsLiveGetsThrough) {
  SimulatedSite site(2, true);
  site.line = {.delay = 0.2, .bytes_per_second = 2'000};
  site.run(1h, 1s);
  site.connect();
  site.run(60s);
  nanoseconds stalest{};
  site.run_until([&] { return stalest = std::max(stalest, site.stalest()), false; }, 300s);
  std::cout << "live " << seconds(stalest) << " s old at most\n";
  EXPECT_LE(seconds(stalest), 12);
  EXPECT_TRUE(site.run_until([&] { return site.backlog_rows() == 0; }, 1h));
  EXPECT_EQ(site.seen().twice, 0);
}

// More than the line carries: what is new goes on being new.
TEST(Lanes, ALineThatIsTooSlowCarriesWhatIsNew) {
  SimulatedSite site(20, true, RateLimits{});
  site.line = {.delay = 0.2, .bytes_per_second = 500};
  site.connect();
  site.run(10min);
  nanoseconds stalest{};
  site.run_until([&] { return stalest = std::max(stalest, site.stalest()), false; }, 10min);
  std::cout << "live " << seconds(stalest) << " s old at most\n";
  EXPECT_LE(seconds(stalest), 60);
}

}  // namespace
}  // namespace fieldpost::test
