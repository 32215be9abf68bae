// SPDX-License-Identifier: Apache-2.0
#include "uplink/quarantine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace fieldpost::test {
namespace {

using namespace std::chrono_literals;
using Standing = Quarantine::Standing;
using Topics = std::vector<std::string>;

// A gateway "own" with devices, and a broker that closes when a forbidden topic comes.
class Site : public ::testing::Test {
 protected:
  // One connection, in which each device has something to send, after the rules of the uplink.
  // Returns whether a topic may be why it ended; messages of others than suspects come first.
  bool connection(const Topics& devices) {
    Topics others;
    Topics suspects;
    for (const auto& d : devices) {
      if (quarantine_.standing_of(d) == Standing::Fine) others.push_back(d);
    }
    for (const auto& s : quarantine_.suspects()) {
      if (std::ranges::find(devices, s) != devices.end()) suspects.push_back(s);
    }
    for (const auto& d : others) quarantine_.sent(d);
    for (const auto& d : others) {
      if (forbidden_.contains(d)) return quarantine_.on_disconnected(true, now_);
      quarantine_.acknowledged(d);
    }
    for (const auto& s : suspects) {
      EXPECT_FALSE(quarantine_.is_trying());
      quarantine_.sent(s);
      EXPECT_TRUE(quarantine_.is_trying());
      if (forbidden_.contains(s)) return quarantine_.on_disconnected(true, now_);
      quarantine_.acknowledged(s);
    }
    stays_up_ = true;
    return quarantine_.on_disconnected(false, now_);
  }
  // Connections until one stays up.
  int connections(const Topics& devices) {
    stays_up_ = false;
    int n = 0;
    while (!stays_up_ && n < 100) connection(devices), ++n;
    return n;
  }
  Topics set_aside() const {
    Topics names;
    for (const auto& s : quarantine_.set_aside()) names.push_back(s.topic);
    return names;
  }

  Quarantine quarantine_{"own"};
  std::set<std::string> forbidden_;
  BootTime now_{1h};
  bool stays_up_ = false;
};

const Topics kTen{"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"};

TEST_F(Site, OneWrongAmongTenIsSetAsideAndTheOthersFlow) {
  forbidden_ = {"d3"};
  EXPECT_LE(connections(kTen), 4);
  EXPECT_EQ(set_aside(), Topics{"d3"});
  EXPECT_TRUE(quarantine_.suspects().empty());
}

TEST_F(Site, SeveralWrongOnesAreFoundOneAfterTheOther) {
  forbidden_ = {"d0", "d5", "d9"};
  EXPECT_LE(connections(kTen), 11);
  EXPECT_EQ(set_aside(), (Topics{"d0", "d5", "d9"}));
}

TEST_F(Site, TheOnlyDeviceIsSetAsideAsWell) {
  forbidden_ = {"d0"};
  EXPECT_EQ(connections({"d0"}), 3);
  EXPECT_EQ(set_aside(), Topics{"d0"});
}

TEST_F(Site, ItIsTriedAgainLaterAndLater) {
  forbidden_ = {"d3"};
  connections(kTen);
  nanoseconds pause = 15min;
  for (int i = 0; i < 9; ++i) {
    ASSERT_EQ(quarantine_.set_aside().front().retry, now_ + pause) << i;
    EXPECT_FALSE(quarantine_.release(now_ + pause - 1ms));
    now_ += pause;
    EXPECT_TRUE(quarantine_.release(now_));
    EXPECT_EQ(quarantine_.standing_of("d3"), Standing::Suspect);
    EXPECT_EQ(connections(kTen), 2) << "one close is enough now";
    pause = std::min<nanoseconds>(2 * pause, 24h);
  }
  now_ += 24h;
  quarantine_.release(now_);
  forbidden_.clear();  // somebody has mended the access key
  EXPECT_EQ(connections(kTen), 1);
  EXPECT_EQ(quarantine_.standing_of("d3"), Standing::Fine);
  forbidden_ = {"d3"};
  connections(kTen);
  EXPECT_EQ(quarantine_.set_aside().front().retry, now_ + 15min) << "all is forgotten";
}

TEST_F(Site, WhatWasTakenInThisConnectionIsNotSuspectedNorTheGateway) {
  quarantine_.sent("d1");
  quarantine_.acknowledged("d1");
  quarantine_.sent("d1");
  quarantine_.sent("own");
  EXPECT_FALSE(quarantine_.on_disconnected(true, now_));
  EXPECT_TRUE(quarantine_.suspects().empty());
}

TEST_F(Site, ALostLinkOrAResetSaysNothing) {
  for (int i = 0; i < 5; ++i) {
    quarantine_.sent("d1");
    EXPECT_FALSE(quarantine_.on_disconnected(false, now_));
  }
  EXPECT_EQ(quarantine_.standing_of("d1"), Standing::Fine);
}

// Another client with our id: each connection ends before anything is answered.
TEST_F(Site, WhereNoConnectionLivesNobodyIsBlamed) {
  for (const auto& d : kTen) quarantine_.sent(d);
  EXPECT_TRUE(quarantine_.on_disconnected(true, now_));
  std::set<std::string> tried;
  for (int i = 0; i < 30; ++i) {
    const std::string next = quarantine_.suspects().front();
    tried.insert(next);
    quarantine_.sent(next);
    EXPECT_FALSE(quarantine_.on_disconnected(true, now_)) << "and that is not put down to it";
  }
  EXPECT_EQ(tried.size(), 10U) << "each has its turn";
  EXPECT_TRUE(quarantine_.set_aside().empty());
}

TEST_F(Site, ASuspectHasItsTurnAlsoWhereOthersHaveMuchToSend) {
  quarantine_.sent("d1");
  quarantine_.on_disconnected(true, now_);
  for (int i = 0; i < Quarantine::kOthersFirst; ++i) {
    EXPECT_FALSE(quarantine_.is_suspects_turn());
    quarantine_.sent("d2");
    quarantine_.acknowledged("d2");
  }
  EXPECT_TRUE(quarantine_.is_suspects_turn());
  quarantine_.pass_turn();
  EXPECT_FALSE(quarantine_.is_suspects_turn());
}

TEST_F(Site, AfterAChangeAllAreTriedAgain) {
  forbidden_ = {"d3"};
  connections(kTen);
  quarantine_.clear();
  EXPECT_EQ(quarantine_.standing_of("d3"), Standing::Fine);
}

TEST_F(Site, WhateverIsForbiddenTheRestComesUp) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    quarantine_ = Quarantine("own");
    forbidden_.clear();
    for (const auto& d : kTen) {
      if (random() % 4 == 0) forbidden_.insert(d);
    }
    if (forbidden_.size() == kTen.size()) continue;
    ASSERT_LE(connections(kTen), 40);
    ASSERT_EQ(set_aside(), Topics(forbidden_.begin(), forbidden_.end()));
  }
}

}  // namespace
}  // namespace fieldpost::test
