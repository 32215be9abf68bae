// SPDX-License-Identifier: Apache-2.0
#include "uplink/publications.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

class PublicationsTest : public ::testing::Test {
 protected:
  bool add(const std::string& topic) {
    if (!publications_.reserve()) return false;
    publications_.add({.topic = topic, .payload = {}});
    return true;
  }
  int add_all() {
    int n = 0;
    while (add(std::to_string(n))) ++n;
    return n;
  }
  int send_all() {
    int n = 0;
    while (auto next = publications_.take()) {
      publications_.sent(std::move(*next), ++mid_);
      ++n;
    }
    return n;
  }

  Publications publications_;
  int mid_ = 0;
};

constexpr int kMaxWaiting = Publications::kMaxWaiting;
constexpr int kMaxInFlight = Publications::kMaxInFlight;

std::vector<std::string> topics(const std::vector<Publication>& publications) {
  std::vector<std::string> names;
  for (const auto& p : publications) names.push_back(p.topic);
  return names;
}

TEST_F(PublicationsTest, RefusesWhatWouldWaitTooLong) {
  EXPECT_EQ(add_all(), kMaxWaiting);
  EXPECT_EQ(send_all(), kMaxInFlight);
  EXPECT_EQ(add_all(), kMaxInFlight);  // those on the line wait no longer
}

TEST_F(PublicationsTest, CountsWhatIsOnItsWayToTheQueue) {
  for (int i = 0; i < kMaxWaiting; ++i) EXPECT_TRUE(publications_.reserve());
  EXPECT_FALSE(publications_.reserve());
  EXPECT_FALSE(publications_.reserve());  // a refusal takes no place
  publications_.cancel();
  EXPECT_TRUE(publications_.reserve());
}

TEST_F(PublicationsTest, SendsInOrderAndAsManyAsAreAcknowledged) {
  for (int i = 0; i < kMaxInFlight + 2; ++i) add(std::to_string(i));
  EXPECT_EQ(send_all(), kMaxInFlight);
  ASSERT_EQ(publications_.acknowledged(3).value().topic, "2");
  EXPECT_FALSE(publications_.acknowledged(3));  // once
  EXPECT_FALSE(publications_.acknowledged(99));
  EXPECT_EQ(publications_.take().value().topic, std::to_string(kMaxInFlight));
}

TEST_F(PublicationsTest, IsIdleWhenAllIsAcknowledged) {
  EXPECT_TRUE(publications_.idle());
  add("a");
  EXPECT_FALSE(publications_.idle());
  send_all();
  EXPECT_FALSE(publications_.idle());
  EXPECT_EQ(publications_.in_flight(), 1U);
  publications_.acknowledged(1);
  EXPECT_TRUE(publications_.idle());
  EXPECT_EQ(publications_.in_flight(), 0U);
}

TEST_F(PublicationsTest, GivesUpWhatWaitsAndWhatIsOnTheLine) {
  add("sent");
  send_all();
  add("first");
  add("second");
  EXPECT_EQ(topics(publications_.take_waiting()), (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(topics(publications_.take_in_flight()), std::vector<std::string>{"sent"});
  EXPECT_FALSE(publications_.acknowledged(1));  // its number belongs to a line that is gone
  EXPECT_TRUE(publications_.idle());
  EXPECT_EQ(add_all(), kMaxWaiting);  // their places are free
}

}  // namespace
}  // namespace fieldpost
