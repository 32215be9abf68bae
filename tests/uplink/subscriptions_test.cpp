// SPDX-License-Identifier: Apache-2.0
#include "uplink/subscriptions.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using Topics = std::vector<std::string>;
using Wanted = std::vector<Subscription>;

class SubscriptionsTest : public ::testing::Test {
 protected:
  // Asked for at QoS 1, and what the broker does not grant then at QoS 0.
  void refuse(const Topics& topics) {
    subscriptions_.asked(++mid_, {.topics = topics, .qos = 1}, now_);
    const Topics again = subscriptions_.answered(mid_, std::vector<int>(topics.size(), 0x80), now_);
    EXPECT_EQ(again, topics);
    subscriptions_.asked(++mid_, {.topics = again, .qos = 0}, now_);
    EXPECT_EQ(subscriptions_.answered(mid_, std::vector<int>(topics.size(), 0x80), now_), Topics{});
  }

  Subscriptions subscriptions_{{{"a"}, {"b"}, {"c", 0}}, 10s};
  Subscriptions::Time now_{1h};
  int mid_ = 0;
};

TEST_F(SubscriptionsTest, TakesAnyQosForAGrant) {
  subscriptions_.asked(1, {.topics = {"a", "b", "c"}}, now_);
  EXPECT_EQ(subscriptions_.answered(1, {0, 1, 2}, now_), Topics{});
  now_ += 1h;
  EXPECT_EQ(subscriptions_.due(now_), Wanted{});
  EXPECT_EQ(subscriptions_.refused(), Topics{});
}

TEST_F(SubscriptionsTest, WhatIsNoGrantAndWhatIsMissingIsARefusal) {
  subscriptions_.asked(1, {.topics = {"a", "b", "c"}}, now_);
  EXPECT_EQ(subscriptions_.answered(1, {1, 3}, now_), (Topics{"b", "c"}));
  subscriptions_.asked(2, {.topics = {"b", "c"}, .qos = 0}, now_);
  EXPECT_EQ(subscriptions_.answered(2, {}, now_), Topics{});
  EXPECT_EQ(subscriptions_.refused(), (Topics{"b", "c"}));
}

TEST_F(SubscriptionsTest, NoAnswerIsARefusalUntilItComes) {
  subscriptions_.asked(1, {.topics = {"a", "b"}}, now_);
  now_ += 9s;
  EXPECT_EQ(subscriptions_.due(now_), Wanted{});
  EXPECT_EQ(subscriptions_.refused(), Topics{});
  now_ += 1s;
  EXPECT_EQ(subscriptions_.due(now_), Wanted{}) << "not at once";
  EXPECT_EQ(subscriptions_.refused(), (Topics{"a", "b"}));
  EXPECT_EQ(subscriptions_.answered(1, {1, 1}, now_ + 1min), Topics{});
  EXPECT_EQ(subscriptions_.refused(), Topics{});
}

TEST_F(SubscriptionsTest, ItIsAskedForAgainLaterAndLater) {
  refuse({"b"});
  std::chrono::minutes pause = 15min;
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(subscriptions_.due(now_ + pause - 1s), Wanted{}) << i;
    now_ += pause;
    ASSERT_EQ(subscriptions_.due(now_), Wanted{{"b"}}) << i;
    EXPECT_EQ(subscriptions_.due(now_), Wanted{}) << "once";
    refuse({"b"});
    pause = std::min<std::chrono::minutes>(2 * pause, 24h);
  }
  subscriptions_.ask_again_now();
  EXPECT_EQ(subscriptions_.due(now_), Wanted{{"b"}});
  subscriptions_.asked(++mid_, {.topics = {"b"}}, now_);
  subscriptions_.answered(mid_, {1}, now_);
  EXPECT_EQ(subscriptions_.due(now_ + 48h), Wanted{});
}

TEST_F(SubscriptionsTest, ItIsAskedForAgainAtTheQosThatIsWanted) {
  subscriptions_.asked(++mid_, {.topics = {"c"}, .qos = 0}, now_);
  EXPECT_EQ(subscriptions_.answered(mid_, {0x80}, now_), Topics{});
  EXPECT_EQ(subscriptions_.due(now_ + 15min), (Wanted{{"c", 0}}));
  const auto change = subscriptions_.set_wanted({{"a"}, {"b"}, {"c", 1}});
  EXPECT_EQ(change.gone, (Wanted{{"c", 0}}));
  EXPECT_EQ(change.come, (Wanted{{"c", 1}}));
}

TEST_F(SubscriptionsTest, WhatIsNotWantedAnyMoreIsForgotten) {
  refuse({"b"});
  subscriptions_.asked(++mid_, {.topics = {"a", "c"}}, now_);
  const auto change = subscriptions_.set_wanted({{"c", 0}, {"d"}});
  EXPECT_EQ(change.gone, (Wanted{{"a"}, {"b"}}));
  EXPECT_EQ(change.come, Wanted{{"d"}});
  EXPECT_EQ(subscriptions_.refused(), Topics{});
  subscriptions_.due(now_ + 10s);
  EXPECT_EQ(subscriptions_.refused(), Topics{"c"});
}

}  // namespace
}  // namespace fieldpost
