// SPDX-License-Identifier: Apache-2.0
#include "uplink/limiter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr BootTime kStart{1h};

class LimiterTest : public ::testing::Test {
 protected:
  // Sends as many as may leave now; each is acknowledged at once.
  int send_all(const std::string& topic, Traffic traffic = Traffic::Live) {
    int n = 0;
    for (; limiter_.free_at(topic, traffic, now_) <= now_; ++n) {
      limiter_.arrived(limiter_.sent(topic, traffic, now_), now_);
    }
    return n;
  }

  std::array<Limiter::Record, Limiter::kRecords> records_{};
  BootTime now_ = kStart;
  Limiter limiter_{kLosantLimits, records_, now_};
};

TEST_F(LimiterTest, LetsPassWhatATopicBearsAndNoMoreForAWindow) {
  EXPECT_EQ(send_all("a"), 28);
  EXPECT_EQ(limiter_.free_at("a", Traffic::Live, now_), now_ + 15s);
  EXPECT_EQ(send_all("b"), 28);  // each topic for itself
  now_ += 14'999ms;
  EXPECT_EQ(send_all("a"), 0);
  now_ += 1ms;
  EXPECT_EQ(send_all("a"), 28);
}

TEST_F(LimiterTest, LetsPassWhatTheConnectionBearsAndLeavesSomeToAnswers) {
  int sent = 0;
  for (int topic = 0; topic < 20; ++topic) sent += send_all("t" + std::to_string(topic));
  EXPECT_EQ(sent, 252);
  EXPECT_EQ(send_all("answers", Traffic::Answer), 28);
  EXPECT_EQ(send_all("more answers", Traffic::Answer), 0);
  EXPECT_EQ(limiter_.used_percent(now_), 100);
}

TEST_F(LimiterTest, WhatComesInCounts) {
  for (int i = 0; i < 275; ++i) limiter_.received(now_);
  EXPECT_EQ(send_all("a", Traffic::Answer), 5);
}

TEST_F(LimiterTest, AMessageCountsFromSendingUntilAWindowAfterItsArrival) {
  std::vector<size_t> messages;
  for (int i = 0; i < 28; ++i) messages.push_back(limiter_.sent("a", Traffic::Live, now_));
  EXPECT_EQ(limiter_.free_at("a", Traffic::Live, now_), Limiter::kUnknown);
  now_ += 1min;
  limiter_.arrived(messages[7], now_);
  EXPECT_EQ(limiter_.free_at("a", Traffic::Live, now_), now_ + 15s);
  now_ += 15s;
  EXPECT_EQ(send_all("a"), 1);
  now_ += 1s;
  limiter_.all_arrived(now_);
  EXPECT_EQ(limiter_.free_at("a", Traffic::Live, now_), now_ + 14s);
}

TEST_F(LimiterTest, TheBacklogLeavesRoomForWhatIsLive) {
  limiter_.set_reserve(16, 192);
  EXPECT_EQ(send_all("a", Traffic::Backlog), 12);
  EXPECT_EQ(send_all("a", Traffic::Live), 16);
  int backlog = 12;
  for (int topic = 0; topic < 20; ++topic) {
    backlog += send_all("t" + std::to_string(topic), Traffic::Backlog);
  }
  EXPECT_EQ(backlog, 60);
  int live = 16;
  for (int topic = 0; topic < 20; ++topic) live += send_all("t" + std::to_string(topic));
  EXPECT_EQ(live, 192);
  EXPECT_EQ(send_all("new", Traffic::Custom), 0);
}

// What live messages have taken already is not kept free for them once more.
TEST_F(LimiterTest, LiveMessagesUseTheirReserve) {
  limiter_.set_reserve(16, 192);
  now_ += 1s;
  for (int i = 0; i < 15; ++i, now_ += 900ms) {
    limiter_.arrived(limiter_.sent("a", Traffic::Live, now_), now_);
  }
  EXPECT_EQ(send_all("a", Traffic::Backlog), 12);
}

TEST_F(LimiterTest, WhereNothingIsKnownNothingLeavesForAWindow) {
  limiter_.assume_full(now_);
  EXPECT_EQ(limiter_.free_at("a", Traffic::Answer, now_), now_ + 15s);
  now_ += 5s;
  Limiter later(kLosantLimits, records_, now_);  // nor in the next life
  EXPECT_EQ(later.free_at("a", Traffic::Answer, now_), now_ + 10s);
  now_ += 10s;
  EXPECT_EQ(later.free_at("a", Traffic::Answer, now_), now_);
}

TEST_F(LimiterTest, HalfOfItForAWhileAfterBeingThrownOut) {
  limiter_.set_reserve(16, 192);
  limiter_.slow_down_until(now_ + 1h);
  EXPECT_EQ(send_all("a"), 14);
  EXPECT_EQ(send_all("b", Traffic::Backlog), 6);
  now_ += 1h;
  EXPECT_EQ(send_all("a"), 28);
}

TEST_F(LimiterTest, HalfOfOneIsOne) {
  limiter_.set_limits({.per_topic = 1, .per_connection = 1});
  limiter_.slow_down_until(now_ + 1h);
  EXPECT_EQ(send_all("a", Traffic::Backlog), 1);
}

TEST_F(LimiterTest, KnowsWhoIsLive) {
  send_all("a");
  send_all("b", Traffic::Backlog);
  limiter_.sent("c", Traffic::Live, now_);
  EXPECT_EQ(limiter_.live_topics(now_), 2);
  now_ += 15s;
  EXPECT_EQ(limiter_.live_topics(now_), 1);  // c is still on its way
}

TEST_F(LimiterTest, WithoutLimitsAllMayLeave) {
  limiter_.set_limits(RateLimits{});
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(limiter_.free_at("a", Traffic::Custom, now_), now_);
    limiter_.arrived(limiter_.sent("a", Traffic::Custom, now_), now_);
  }
}

TEST_F(LimiterTest, RecordsThatAreNonsenseAreNotBelieved) {
  for (size_t i = 0; i < records_.size(); ++i) {
    records_[i] = {.topic = i, .at_ns = INT64_MAX, .state = Limiter::Record::State(i % 256)};
    records_[i].traffic = Traffic(i % 256);
  }
  Limiter limiter(kLosantLimits, records_, now_);
  EXPECT_GT(limiter.free_at("a", Traffic::Answer, now_), now_);
  EXPECT_EQ(limiter.free_at("a", Traffic::Answer, now_ + 15s), now_ + 15s);
}

// A broker that counts, behind a line that takes its time.
class Witness {
 public:
  void arrived(const std::string& topic, BootTime at) {
    seen_[topic].push_back(at);
    seen_[""].push_back(at);
  }
  int most(const std::string& topic) {
    std::vector<BootTime>& times = seen_[topic];
    std::ranges::sort(times);
    int most = 0;
    for (size_t first = 0, i = 0; i < times.size(); ++i) {
      while (times[first] + 15s <= times[i]) ++first;
      most = std::max(most, static_cast<int>(i - first + 1));
    }
    return most;
  }

 private:
  std::map<std::string, std::vector<BootTime>> seen_;
};

// Random demand and delays, connections that break, and restarts, with and without the log.
TEST(LimiterProperty, NoWindowEverExceeds) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    const auto ms = [&](unsigned most) { return std::chrono::milliseconds(random() % most); };
    std::array<Limiter::Record, Limiter::kRecords> records{};
    BootTime now = kStart;
    auto limiter = std::make_unique<Limiter>(kLosantLimits, records, now);
    limiter->set_reserve(16, 192);
    Witness witness;
    std::multimap<BootTime, std::string> arrivals;
    std::multimap<BootTime, size_t> acknowledgements;
    const unsigned slowness = 1U << random() % 14;  // ms to the broker, at most, and back
    for (int i = 0; i < 40'000; ++i) {
      now += random() % 500 == 0 ? ms(20'000) : ms(20);
      while (!arrivals.empty() && arrivals.begin()->first <= now) {
        witness.arrived(arrivals.begin()->second, arrivals.begin()->first);
        arrivals.erase(arrivals.begin());
      }
      while (!acknowledgements.empty() && acknowledgements.begin()->first <= now) {
        limiter->arrived(acknowledgements.begin()->second, now);
        acknowledgements.erase(acknowledgements.begin());
      }
      if (random() % 2'000 == 0) {  // the line breaks: what has not arrived never will
        limiter->all_arrived(now);
        acknowledgements.clear();
        arrivals.clear();
      }
      if (random() % 5'000 == 0) {  // killed, and back
        const auto kept = records;
        limiter.reset();
        const bool lost = random() % 3 == 0;
        records = lost ? decltype(records){} : kept;
        now += ms(1'000);
        limiter = std::make_unique<Limiter>(kLosantLimits, records, now);
        if (lost) limiter->assume_full(now);
        limiter->set_reserve(16, 192);
        acknowledgements.clear();
        arrivals.clear();
      }
      const std::string topic = "t" + std::to_string(random() % 14);
      const auto traffic = Traffic(random() % 4);
      if (limiter->free_at(topic, traffic, now) > now) continue;
      const BootTime arrival = now + ms(slowness);
      acknowledgements.emplace(arrival + ms(slowness), limiter->sent(topic, traffic, now));
      arrivals.emplace(arrival, topic);
    }
    for (int t = 0; t < 14; ++t) EXPECT_LE(witness.most("t" + std::to_string(t)), 28) << seed;
    EXPECT_LE(witness.most(""), 280) << seed;
    EXPECT_GE(witness.most(""), 100) << seed;  // or this proves nothing
  }
}

}  // namespace
}  // namespace fieldpost
