// SPDX-License-Identifier: Apache-2.0
//
// The lane of custom topics: what becomes of a copy, and that it stands in nobody's way.
#include <gtest/gtest.h>

#include <array>

#include "fakes/test_env.hpp"
#include "model/symbol.hpp"
#include "uplink/lanes.hpp"
#include "uplink/setup.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

PublishConfig entry(const std::string& name, const std::string& topic,
                    const std::string& payload = "${value}", const std::string& format = "text",
                    int qos = 1) {
  return {.name = name, .topic = topic, .payload = payload, .format = format, .qos = qos};
}

TEST(CustomTopics, AReadingBecomesTextOrJson) {
  const CustomTopics topics(
      {entry("t", "a/${device}/${attribute}", "${value} ${time}"),
       entry("j", "b", R"({"${attribute}":${value},"of":"${device}"})", "json", 0)});
  SymbolTable names;
  const auto body = [&](const std::string& device, Value value) {
    return topics.body_of(device, {names.intern("temp"), std::move(value)}, 1700).payload;
  };
  EXPECT_EQ(topics.topic_of("publish:t:boiler", "temp"), "a/boiler/temp");
  EXPECT_EQ(topics.topic_of("publish:t:boiler:temp", "temp"), "a/boiler/temp");
  EXPECT_EQ(topics.topic_of("publish:gone:boiler", "temp"), std::nullopt);
  EXPECT_EQ(topics.topic_of("575ecf887ae143cd83dc4aa3", "temp"), std::nullopt);
  EXPECT_EQ(body("publish:t:boiler", 21.5), "21.5 1700");
  EXPECT_EQ(body("publish:t:boiler", true), "true 1700");
  EXPECT_EQ(body("publish:t:boiler", std::string("a \"b\"")), "a \"b\" 1700");
  EXPECT_EQ(body("publish:j:boiler", -0.25), R"({"temp":-0.25,"of":"boiler"})");
  EXPECT_EQ(body("publish:j:boiler", std::string("a \"b\"\n")),
            R"({"temp":"a \"b\"\n","of":"boiler"})");
  EXPECT_EQ(topics.body_of("publish:j:boiler", {names.intern("temp"), 1.0}, 0).qos, 0);
}

class CustomLane : public ::testing::Test {
 protected:
  void start(std::vector<PublishConfig> entries, bool live_first = true) {
    options_.live_first = live_first;
    options_.publishes = std::move(entries);
    lanes_.set_options(options_);
    lanes_.on_connected();
  }
  // Answers what is asked for: rows of `count` readings each, of these devices.
  void answer(Lane lane, const std::vector<std::string>& devices, int count = 1) {
    for (;;) {
      const auto request = lanes_.take_fetch();
      ASSERT_TRUE(request) << "nobody asks";
      Fetched fetched{.lane = request->lane, .from = request->after, .up_to = request->after};
      if (request->lane == Lane::Live && request->after == item_id::kBeforeAll) {
        fetched.up_to = item_id::kBeforeAll + 1;  // as it begins
      } else if (request->lane == lane) {
        for (const std::string& device : devices) fetched.chunks.push_back(row(device, count));
        fetched.up_to = last_row_;
      }
      fetched.end = fetched.chunks.empty();
      const bool done = !fetched.chunks.empty();
      lanes_.on_fetched(std::move(fetched));
      if (done) return;
    }
  }
  Chunk row(const std::string& device, int count) {
    Chunk chunk{.row = last_row_ += 256, .device = names_.intern(device), .states = {}};
    for (int i = 0; i < count; ++i) {
      chunk.states.push_back({.time_ms = i, .points = {{names_.intern("temp"), double(i)}}});
    }
    return chunk;
  }
  // The broker has taken something on these topics before.
  void let_in(const std::vector<std::string>& topics) {
    for (const std::string& topic : topics) {
      quarantine_.sent(topic);
      quarantine_.acknowledged(topic);
    }
  }
  std::vector<std::string> send_all() {
    std::vector<std::string> topics;
    while (const auto message = lanes_.take_message(now_)) {
      topics.push_back(message->topic);
      qos_.push_back(message->qos);
      lanes_.sent(*message, ++mid_, now_);
    }
    return topics;
  }
  std::vector<int64_t> acknowledge(int mid) {
    const auto done = lanes_.acknowledged(mid, now_);
    return done ? done->rows : std::vector<int64_t>{-1};
  }

  SymbolTable names_;
  BootTime now_{1h};
  std::array<Limiter::Record, Limiter::kRecords> records_{};
  Limiter limiter_{RateLimits{}, records_, now_};
  Quarantine quarantine_{"losant/own/state"};
  Lanes::Options options_{.window_messages = 20, .custom = true};
  Lanes lanes_{options_, limiter_, quarantine_};
  int64_t last_row_ = 0;
  int mid_ = 0;
  std::vector<int> qos_;
};

using Topics = std::vector<std::string>;

TEST_F(CustomLane, EachReadingIsAMessageAndTheRowGoesWithTheLast) {
  start({entry("e", "a/${device}")});
  answer(Lane::Custom, {"publish:e:boiler"}, 3);
  let_in({"a/boiler"});
  EXPECT_EQ(send_all(), (Topics{"a/boiler", "a/boiler", "a/boiler"}));
  EXPECT_EQ(acknowledge(1), std::vector<int64_t>{});
  EXPECT_EQ(acknowledge(2), std::vector<int64_t>{});
  EXPECT_EQ(acknowledge(3), std::vector<int64_t>{256});
  EXPECT_EQ(lanes_.custom().published, 3);
}

TEST_F(CustomLane, ComesAfterStatesAndLeavesThemAPartOfTheWindow) {
  start({entry("e", "a")}, false);
  answer(Lane::All, {"d1", "d2"});
  answer(Lane::Custom, {"publish:e:boiler"}, 100);
  let_in({"a"});
  const Topics sent = send_all();
  ASSERT_EQ(sent.size(), 17U) << "three quarters of the window";
  EXPECT_EQ(sent[0], "losant/d1/state");
  EXPECT_EQ(sent[1], "losant/d2/state");
  EXPECT_EQ(sent[2], "a");
}

TEST_F(CustomLane, DoesNotOvertakeAStateThatTheLineHasNoRoomFor) {
  options_.window_bytes = 20'000;
  start({entry("e", "a")}, false);
  answer(Lane::Custom, {"publish:e:boiler"});
  Fetched states{.lane = Lane::All, .up_to = 2};
  for (const int64_t id : {1, 2}) {
    states.chunks.push_back(row("d" + std::to_string(id), 1));
    states.chunks.back().row = id;
    states.chunks.back().states[0].points[0].value = std::string(9'000, 'x');
  }
  lanes_.on_committed(last_row_);
  lanes_.on_fetched(std::move(states));
  EXPECT_EQ(send_all(), Topics{"losant/d1/state"});
  acknowledge(mid_);
  EXPECT_EQ(send_all().front(), "losant/d2/state");
}

// Of what is kept free for live messages it gets nothing.
TEST_F(CustomLane, SharesTheRateLimitsByTheTopicThatItReallyHas) {
  limiter_.set_limits({.per_topic = 2, .per_connection = 280});
  start({entry("e", "a/${device}")});
  answer(Lane::Custom, {"publish:e:d1", "publish:e:d2"}, 5);
  let_in({"a/d1", "a/d2"});
  EXPECT_EQ(send_all().size(), 2U) << "one a topic is kept free for what is live";
  EXPECT_TRUE(lanes_.is_held_back());
}

TEST_F(CustomLane, WhatItsEntryHasLeftIsDroppedAndCounted) {
  start({entry("e", "a")});
  answer(Lane::Custom, {"publish:gone:d", "publish:e:d", "publish:gone:d"}, 2);
  let_in({"a"});
  EXPECT_EQ(send_all(), (Topics{"a", "a"}));
  EXPECT_EQ(lanes_.take_done(), (std::vector<int64_t>{256, 768}));
  EXPECT_EQ(lanes_.custom().dropped, 4);
  EXPECT_EQ(*lanes_.custom().last_dropped, "publish:gone:d");
}

TEST_F(CustomLane, WithoutEntriesItIsAskedForUntilNothingIsLeft) {
  start({});
  answer(Lane::Custom, {"publish:gone:d"}, 2);
  EXPECT_EQ(send_all(), Topics{});
  EXPECT_EQ(lanes_.take_done(), std::vector<int64_t>{256});
  const auto request = lanes_.take_fetch();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->lane, Lane::Custom);
  lanes_.on_fetched({.lane = Lane::Custom, .chunks = {}, .up_to = request->after, .end = true});
  lanes_.on_committed(last_row_ + 256);
  for (auto next = lanes_.take_fetch(); next; next = lanes_.take_fetch()) {
    EXPECT_NE(next->lane, Lane::Custom) << "readings that are no copies cost nothing more";
    lanes_.on_fetched({.lane = next->lane, .chunks = {}, .up_to = last_row_ + 256});
  }
}

TEST_F(CustomLane, AChangeOfTheConfigurationCountsForWhatWaits) {
  start({entry("e", "a"), entry("f", "f")});
  answer(Lane::Custom, {"publish:e:d", "publish:f:d"});
  options_.publishes = {entry("e", "new/topic", "v=${value}")};
  lanes_.set_options(options_);
  const auto message = lanes_.take_message(now_);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->topic, "new/topic");
  EXPECT_EQ(message->state.payload, "v=0");
  lanes_.sent(*message, ++mid_, now_);
  acknowledge(mid_);
  EXPECT_EQ(send_all(), Topics{});
  EXPECT_EQ(lanes_.custom().dropped, 1);
}

TEST_F(CustomLane, OneThatIsTooLargeIsRefusedAndCounted) {
  options_.max_payload = 4'000;
  start({entry("e", "a", std::string(5'000, 'x')), entry("f", "b")});
  answer(Lane::Custom, {"publish:e:d", "publish:f:d"});
  EXPECT_EQ(send_all(), Topics{"b"});
  EXPECT_EQ(lanes_.refused(), 1);
  EXPECT_EQ(*lanes_.refused_attribute(), "temp");
  EXPECT_EQ(lanes_.take_done(), std::vector<int64_t>{256});
}

// A topic that the broker does not take is found by what it does not acknowledge.
TEST_F(CustomLane, QosZeroBeginsWhenTheBrokerHasTakenOne) {
  start({entry("e", "a", "x", "text", 0)});
  answer(Lane::Custom, {"publish:e:d"}, 4);
  const auto first = lanes_.take_message(now_);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->qos, 1);
  lanes_.sent(*first, ++mid_, now_);
  EXPECT_FALSE(lanes_.is_unacknowledged(mid_));
  acknowledge(mid_);
  const auto second = lanes_.take_message(now_);
  EXPECT_EQ(second->qos, 0);
  lanes_.sent(*second, ++mid_, now_);
  EXPECT_TRUE(lanes_.is_unacknowledged(mid_));
}

TEST_F(CustomLane, ANewTopicBeginsWithOneMessageAndNothingOfTheLaneBehindIt) {
  start({entry("e", "a/${device}")});
  answer(Lane::Custom, {"publish:e:d1", "publish:e:d2"}, 2);
  EXPECT_EQ(send_all(), Topics{"a/d1"});
  acknowledge(mid_);
  EXPECT_EQ(send_all(), (Topics{"a/d1", "a/d2"}));
  acknowledge(mid_);
  EXPECT_EQ(send_all(), (Topics{"a/d2"}));
}

TEST_F(CustomLane, ATopicThatIsSetAsideLetsOthersPass) {
  start({entry("e", "a/${device}")});
  const auto connection = [this](const Topics& expected) {
    answer(Lane::Custom, {"publish:e:d1", "publish:e:d2"});
    EXPECT_EQ(send_all(), expected);
  };
  const auto closed = [this] {
    quarantine_.on_disconnected(true, now_);
    lanes_.on_disconnected(now_);
    lanes_.on_connected();
    last_row_ = 0;
  };
  connection({"a/d1"});
  closed();
  connection({"a/d2"});
  EXPECT_EQ(acknowledge(mid_), std::vector<int64_t>{512});
  EXPECT_EQ(send_all(), Topics{"a/d1"}) << "a suspect goes alone";
  closed();
  EXPECT_EQ(quarantine_.standing_of("a/d1"), Quarantine::Standing::SetAside);
  connection({});  // the other row is done
  answer(Lane::Custom, {"publish:e:d2"});
  EXPECT_EQ(send_all(), Topics{"a/d2"});
  EXPECT_EQ(lanes_.copies_on("a/d1"), DeviceIds{"publish:e:d1"});
  EXPECT_EQ(lanes_.copies_on("other"), DeviceIds{});
  options_.publishes = {entry("e", "b/${device}")};
  lanes_.set_options(options_);
  EXPECT_EQ(lanes_.copies_on("a/d1"), DeviceIds{}) << "it leaves elsewhere now";
}

// What was on its way when the line broke comes again, and what was acknowledged does not.
TEST_F(CustomLane, AfterABreakItGoesOnWithWhatWasNotAcknowledged) {
  start({entry("e", "a")});
  answer(Lane::Custom, {"publish:e:d", "publish:e:d"});
  let_in({"a"});
  EXPECT_EQ(send_all().size(), 2U);
  acknowledge(1);
  lanes_.on_disconnected(now_);
  lanes_.on_connected();
  for (auto next = lanes_.take_fetch(); next; next = lanes_.take_fetch()) {
    if (next->lane == Lane::Custom) {
      EXPECT_EQ(next->after, 512 - 1);
      return;
    }
    lanes_.on_fetched({.lane = next->lane, .chunks = {}, .up_to = next->after + 1, .end = true});
  }
  FAIL() << "nobody asks";
}

}  // namespace
}  // namespace fieldpost
