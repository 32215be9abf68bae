// SPDX-License-Identifier: Apache-2.0
#include "uplink/batcher.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <set>

#include "base/json.hpp"
#include "model/state_meta.hpp"
#include "model/symbol.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMax = 240'000;

class BatcherTest : public ::testing::Test {
 protected:
  Point point(const std::string& attribute, Value value) {
    return {names_.intern(attribute), std::move(value)};
  }
  Chunk chunk(int64_t row, const std::string& device, std::vector<State> states) {
    return {.row = row, .device = names_.intern(device), .states = std::move(states)};
  }
  // One state with one number.
  Chunk small(int64_t row, const std::string& device, int64_t time, double value) {
    return chunk(row, device, {{time, {point("a", value)}}});
  }

  SymbolTable names_;
  Batcher batcher_{kMax};
};

using Rows = std::vector<int64_t>;

TEST_F(BatcherTest, OneStateIsAnObjectSeveralAreAnArray) {
  batcher_.add(small(1, "d", 1000, 1.5));
  auto message = batcher_.next(kMax);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->payload, R"({"time":1000,"data":{"a":1.5}})");
  EXPECT_EQ(message->readings, 1);
  batcher_.add(small(2, "d", 1001, 2));
  batcher_.add(small(3, "d", 1002, 3));
  message = batcher_.next(kMax);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->payload, R"([{"time":1001,"data":{"a":2}},{"time":1002,"data":{"a":3}}])");
  EXPECT_FALSE(batcher_.next(kMax));
  EXPECT_EQ(batcher_.waiting_points(), 0U);
}

TEST_F(BatcherTest, StatesNameTheFlowVersionOfTheirDevice) {
  batcher_.set_flow_versions({{"d", "v\"1"}, {"e", ""}});
  batcher_.add(small(1, "d", 1, 1));
  EXPECT_EQ(batcher_.next(kMax)->payload, R"({"time":1,"data":{"a":1},"flowVersion":"v\"1"})");
  batcher_.add(small(2, "d", 2, 2));
  batcher_.add(small(3, "d", 3, 3));
  EXPECT_EQ(batcher_.next(kMax)->payload, R"([{"time":2,"data":{"a":2},"flowVersion":"v\"1"},)"
                                          R"({"time":3,"data":{"a":3},"flowVersion":"v\"1"}])");
  batcher_.add(small(4, "d", 5, 4));
  batcher_.add(small(5, "d", 4, 5));  // is put in order
  EXPECT_EQ(batcher_.next(kMax)->payload, R"([{"time":4,"data":{"a":5},"flowVersion":"v\"1"},)"
                                          R"({"time":5,"data":{"a":4},"flowVersion":"v\"1"}])");
  batcher_.add(small(6, "e", 6, 6));
  EXPECT_EQ(batcher_.next(kMax)->payload, R"({"time":6,"data":{"a":6}})");
}

TEST_F(BatcherTest, AnEstimatedTimeAndTheFlowVersionAreBothNamed) {
  batcher_.set_flow_versions({{"d", "v1"}});
  Chunk estimated = small(1, "d", 1, 1);
  estimated.states[0].estimated = true;
  batcher_.add(std::move(estimated));
  batcher_.add(small(2, "d", 2, 2));
  EXPECT_EQ(batcher_.next(kMax)->payload,
            R"([{"time":1,"data":{"a":1},"meta":{"time_estimated":true},"flowVersion":"v1"},)"
            R"({"time":2,"data":{"a":2},"flowVersion":"v1"}])");
}

TEST_F(BatcherTest, APartWithAFlowVersionIsNoLongerThanAPayload) {
  constexpr size_t kSmall = 4'000;
  Batcher batcher(kSmall);
  batcher.set_flow_versions({{"d", std::string(200, 'v')}});
  State large{.time_ms = 1, .points = {}};
  for (int i = 0; i < 100; ++i) {
    large.points.push_back(point("a" + std::to_string(i), std::string(100, 'x')));
  }
  batcher.add(chunk(1, "d", {std::move(large)}));
  int64_t readings = 0, messages = 0;
  while (const auto message = batcher.next(kSmall)) {
    EXPECT_LE(message->payload.size(), kSmall);
    readings += message->readings;
    ++messages;
  }
  EXPECT_EQ(readings, 100);
  EXPECT_EQ(messages, 3);
}

TEST_F(BatcherTest, RowsOfADeviceThatWaitTogetherLeaveTogether) {
  for (int64_t row = 1; row <= 60; ++row) {
    batcher_.add(small(row, row % 2 == 0 ? "even" : "odd", row, double(row)));
  }
  const auto odd = batcher_.next(kMax);
  const auto even = batcher_.next(kMax);
  ASSERT_TRUE(odd && even);
  EXPECT_EQ(*odd->device, "odd");  // it has the oldest row
  EXPECT_EQ(odd->readings, 30);
  EXPECT_EQ(*even->device, "even");
  EXPECT_FALSE(batcher_.next(kMax));
}

TEST_F(BatcherTest, OneMillisecondIsOneState) {
  batcher_.add(chunk(1, "d", {{5, {point("a", 1.0), point("b", true)}}}));
  batcher_.add(chunk(2, "d", {{5, {point("a", 2.0), point("c", std::string("x"))}}}));
  const auto message = batcher_.next(kMax);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->payload, R"({"time":5,"data":{"a":2,"b":true,"c":"x"}})");
  EXPECT_EQ(message->readings, 4);
  batcher_.acknowledged(message->ticket);
  EXPECT_EQ(batcher_.take_done(), (Rows{1, 2}));
}

TEST_F(BatcherTest, AnEstimateIsSaidHoweverAStateIsSent) {
  const std::string meta = R"(,"meta":{"time_estimated":true}})";
  // Out of order, and two that become one.
  batcher_.add(chunk(1, "d", {{20, {point("a", 2.0)}}}));
  batcher_.add(chunk(2, "d", {{10, {point("b", 3.0)}}}));
  batcher_.add(chunk(3, "d", {{10, {point("a", 1.0)}, true}}));
  EXPECT_EQ(batcher_.next(kMax)->payload,
            R"([{"time":10,"data":{"b":3,"a":1})" + meta + R"(,{"time":20,"data":{"a":2}}])");
  // In parts.
  Batcher parts(200);
  std::vector<Point> points;
  for (int i = 0; i < 20; ++i) points.push_back(point("attribute" + std::to_string(i), 1.0));
  parts.add(chunk(1, "d", {{10, points, true}}));
  int messages = 0;
  for (; const auto message = parts.next(200); ++messages) {
    EXPECT_TRUE(message->payload.ends_with(meta)) << message->payload;
  }
  EXPECT_GT(messages, 2);
}

TEST_F(BatcherTest, ArraysAscend) {
  batcher_.add(chunk(1, "d", {{10, {point("a", 1.0)}}, {20, {point("a", 2.0)}}}));
  batcher_.add(chunk(2, "d", {{5, {point("a", 3.0)}}, {20, {point("a", 4.0)}}}));
  const auto message = batcher_.next(kMax);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->payload,
            R"([{"time":5,"data":{"a":3}},{"time":10,"data":{"a":1}},{"time":20,"data":{"a":4}}])");
}

TEST_F(BatcherTest, ArraysEndBeforeTheLimit) {
  std::vector<State> states;
  for (int64_t i = 0; i < 5'000; ++i) states.push_back({i, {point("a", 0.5)}});
  batcher_.add(chunk(1, "d", std::move(states)));
  int64_t expected = 0;
  while (const auto message = batcher_.next(10'000)) {
    EXPECT_LE(message->payload.size(), 10'000U);
    const Json json = Json::parse(message->payload);
    for (const Json& state : json) EXPECT_EQ(state.at("time").get<int64_t>(), expected++);
  }
  EXPECT_EQ(expected, 5'000);
}

TEST_F(BatcherTest, AStateLargerThanAPayloadIsSplitUnderOneStamp) {
  Batcher batcher(1'000);
  std::vector<Point> points;
  for (int i = 0; i < 256; ++i) points.push_back(point("attribute" + std::to_string(i), 1.25 * i));
  batcher.add(small(1, "d", 6, 0));
  batcher.add(chunk(2, "d", {{7, points}}));
  batcher.add(small(3, "d", 8, 0));
  std::vector<StateMessage> messages;
  Json all = Json::object();
  while (auto message = batcher.next(1'000)) {
    EXPECT_LE(message->payload.size(), 1'000U);
    const Json json = Json::parse(message->payload);
    if (json.at("time") == 7) all.update(json.at("data"));
    messages.push_back(std::move(*message));
  }
  EXPECT_EQ(all.size(), 256U);
  EXPECT_EQ(all.at("attribute255"), 1.25 * 255);
  ASSERT_GT(messages.size(), 5U);
  // Out of order; the row is done with its last part only.
  for (size_t i = messages.size(); i-- > 2;) batcher.acknowledged(messages[i].ticket);
  EXPECT_EQ(batcher.take_done(), Rows{3});
  batcher.acknowledged(messages[1].ticket);
  EXPECT_EQ(batcher.take_done(), Rows{2});
  EXPECT_EQ(batcher.resume_after(), 0);
  batcher.acknowledged(messages[0].ticket);
  EXPECT_EQ(batcher.take_done(), Rows{1});
  EXPECT_EQ(batcher.resume_after(), 3);
}

TEST_F(BatcherTest, AMetaAloneIsNoState) {
  const Point sequence = point(std::string(state_meta::kSequence), 1.0);
  batcher_.add(chunk(1, "d", {{1, {sequence}}}));
  EXPECT_FALSE(batcher_.next(kMax));
  EXPECT_EQ(batcher_.take_done(), Rows{1});
  batcher_.add(chunk(2, "d", {{2, {sequence}}, {3, {sequence, point("a", 1.5)}}}));
  EXPECT_EQ(batcher_.next(kMax)->payload, R"({"time":3,"data":{"a":1.5},"meta":{"sequence":1}})");
}

TEST_F(BatcherTest, PartsOfAStateHaveNoMeta) {
  batcher_.set_max_payload(1000);
  State state{7, {point(std::string(state_meta::kSequence), 1.0)}};
  for (const char* name : {"a", "b", "c"})
    state.points.push_back(point(name, std::string(700, 'x')));
  batcher_.add(chunk(1, "d", {state}));
  for (const char* name : {"a", "b", "c"}) {
    const auto message = batcher_.next(1000);
    ASSERT_TRUE(message);
    EXPECT_EQ(*parse_json(message->payload),
              (Json{{"time", 7}, {"data", {{name, std::string(700, 'x')}}}}));
  }
  EXPECT_FALSE(batcher_.next(1000));
  EXPECT_EQ(batcher_.waiting_points(), 0U);
}

TEST_F(BatcherTest, WhatNoMessageCanCarryIsRefusedOnce) {
  Batcher batcher(1'000);
  const auto add = [&] {
    batcher.add(chunk(1, "d",
                      {{1, {point("a", std::string(2'000, 'x')), point("b", 1.0)}},
                       {2, {point("a", std::nan(""))}}}));
    batcher.add(chunk(2, "d", {{3, {point("a", std::string("\xff"))}}}));
  };
  add();
  EXPECT_EQ(batcher.take_done(), Rows{2});  // nothing of it is left to send
  EXPECT_EQ(batcher.refused(), 3);
  const auto message = batcher.next(1'000);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->payload, R"({"time":1,"data":{"b":1}})");
  batcher.rewind();
  add();
  EXPECT_EQ(batcher.refused(), 3);
  EXPECT_EQ(batcher.next(1'000)->payload, R"({"time":1,"data":{"b":1}})");
}

TEST_F(BatcherTest, TextThatEscapingMakesTooLongIsRefused) {
  Batcher batcher(1'000);
  batcher.add(chunk(1, "d", {{1, {point("a", std::string(300, '\x01'))}}}));
  EXPECT_EQ(batcher.refused(), 1);
  EXPECT_FALSE(batcher.next(1'000));
}

TEST_F(BatcherTest, ARewindRepeatsWhatIsNotDoneAndNothingElse) {
  for (int64_t row = 1; row <= 4; ++row) batcher_.add(small(row, std::to_string(row), row, 0));
  std::vector<StateMessage> messages;
  while (auto message = batcher_.next(kMax)) messages.push_back(std::move(*message));
  batcher_.acknowledged(messages[0].ticket);
  batcher_.acknowledged(messages[2].ticket);
  EXPECT_EQ(batcher_.take_done(), (Rows{1, 3}));
  batcher_.rewind();
  EXPECT_EQ(batcher_.resume_after(), 1);
  EXPECT_EQ(batcher_.acknowledged(messages[1].ticket), 0);  // of the connection that is gone
  for (int64_t row = 2; row <= 4; ++row) batcher_.add(small(row, std::to_string(row), row, 0));
  EXPECT_EQ(*batcher_.next(kMax)->device, "2");
  EXPECT_EQ(*batcher_.next(kMax)->device, "4");
  EXPECT_FALSE(batcher_.next(kMax));
}

// Any order of acknowledgements, any number of broken connections: every reading leaves, each row
// is done exactly once and only when all of it was acknowledged, and order is kept per device.
TEST_F(BatcherTest, RandomLifeLosesNothing) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto up_to = [&](size_t n) { return static_cast<size_t>(random()) % n; };
    std::map<int64_t, Chunk> store;
    std::map<std::string, int64_t> next_number;
    for (int64_t row = 1; row <= 60; ++row) {
      const std::string device = std::to_string(up_to(4));
      std::vector<State> states;
      for (size_t i = 0; i <= up_to(20); ++i) {
        State state{.time_ms = ++next_number[device], .points = {}};
        for (size_t p = 0; p <= up_to(30); ++p) {
          state.points.push_back(point("p" + std::to_string(p), double(state.time_ms)));
        }
        states.push_back(std::move(state));
      }
      store.emplace(row, chunk(row, device, std::move(states)));
    }
    Batcher batcher(400);
    std::vector<StateMessage> in_flight;
    std::map<std::string, int64_t> acknowledged_time;
    std::map<std::string, std::set<std::string>> seen;  // device → "time/attribute"
    std::set<int64_t> done;
    int64_t cursor = 0;
    for (int step = 0; !store.empty(); ++step) {
      ASSERT_LT(step, 100'000);
      const size_t what = up_to(100);
      if (what < 40) {
        if (const auto it = store.upper_bound(cursor); it != store.end()) {
          cursor = it->first;
          batcher.add(it->second);
        }
      } else if (what < 70) {
        if (auto message = batcher.next(200 + up_to(200))) in_flight.push_back(std::move(*message));
      } else if (what < 98) {
        if (in_flight.empty()) continue;
        const auto it = in_flight.begin() + static_cast<ptrdiff_t>(up_to(in_flight.size()));
        Json json = Json::parse(it->payload);
        if (!json.is_array()) json = Json::array({json});
        for (const Json& state : json) {
          for (const auto& [name, value] : state.at("data").items()) {
            EXPECT_EQ(value, state.at("time"));
            seen[*it->device].insert(state.at("time").dump() + "/" + name);
          }
        }
        batcher.acknowledged(it->ticket);
        in_flight.erase(it);
      } else {
        batcher.rewind();
        in_flight.clear();
        cursor = batcher.resume_after();
      }
      for (const int64_t row : batcher.take_done()) {
        ASSERT_TRUE(done.insert(row).second) << row;
        for (const State& state : store.at(row).states) {
          for (const Point& p : state.points) {
            ASSERT_TRUE(seen[*store.at(row).device].contains(std::to_string(state.time_ms) + "/" +
                                                             *p.attribute));
          }
        }
        if (up_to(2) == 0) store.erase(row);  // the store deletes when it likes
      }
      std::erase_if(store, [&](const auto& entry) {
        return done.contains(entry.first) && done.size() == 60;
      });
    }
    EXPECT_EQ(done.size(), 60U);
  }
}

// ---- A message for each reading.

TEST_F(BatcherTest, ReadingsLeaveOneByOneAndTheRowIsDoneWithTheLast) {
  const auto any = [](Symbol, Symbol) { return true; };
  batcher_.add(chunk(1, "d", {{10, {point("a", 1.0), point("b", true)}}, {20, {point("a", 2.0)}}}));
  EXPECT_EQ(batcher_.waiting_points(), 3U);
  std::vector<ReadingToSend> sent;
  while (auto reading = batcher_.next_reading(any)) sent.push_back(*std::move(reading));
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_EQ(batcher_.waiting_points(), 0U);
  EXPECT_EQ(*sent[1].point.attribute, "b");
  EXPECT_EQ(sent[1].time_ms, 10);
  EXPECT_EQ(sent[2].time_ms, 20);
  EXPECT_EQ(batcher_.acknowledged(sent[2].ticket), 1);
  EXPECT_EQ(batcher_.acknowledged(sent[0].ticket), 1);
  EXPECT_EQ(batcher_.take_done(), Rows{});
  EXPECT_EQ(batcher_.acknowledged(sent[1].ticket), 1);
  EXPECT_EQ(batcher_.take_done(), Rows{1});
}

TEST_F(BatcherTest, OfReadingsOneThatMayNotLeaveHoldsUpItsDeviceAlone) {
  batcher_.add(chunk(1, "d", {{10, {point("a", 1.0), point("b", 2.0)}}}));
  batcher_.add(chunk(2, "e", {{10, {point("a", 3.0), point("b", 4.0)}}}));
  const auto all_but_a_of_d = [](Symbol device, Symbol attribute) {
    return *device != "d" || *attribute != "a";
  };
  EXPECT_EQ(batcher_.next_reading(all_but_a_of_d)->point.value, Value(3.0));
  EXPECT_EQ(batcher_.next_reading(all_but_a_of_d)->point.value, Value(4.0));
  EXPECT_FALSE(batcher_.next_reading(all_but_a_of_d));
}

TEST_F(BatcherTest, AfterRewindingARowThatWasBegunComesAgainAsAWhole) {
  const auto any = [](Symbol, Symbol) { return true; };
  const auto row = [this] { return chunk(1, "d", {{10, {point("a", 1.0), point("b", 2.0)}}}); };
  batcher_.add(row());
  batcher_.acknowledged(batcher_.next_reading(any)->ticket);
  EXPECT_TRUE(batcher_.next_reading_of_begun(any));
  batcher_.rewind();
  batcher_.add(row());
  EXPECT_EQ(*batcher_.next_reading(any)->point.attribute, "a");
}

}  // namespace
}  // namespace fieldpost
