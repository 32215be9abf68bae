// SPDX-License-Identifier: Apache-2.0
#include "main/publish_proof.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

TEST(PublishProofTest, CountsWhatWasSentSinceItBegan) {
  UplinkStatus status{.connections = 1, .published = 10, .in_flight = 3};
  PublishProof proof(status);
  for (const int64_t published : {10, 12, 13}) {
    status.published = published;
    EXPECT_FALSE(proof.on(status)) << published;
  }
  status.published = 14;
  EXPECT_TRUE(proof.on(status));
}

TEST(PublishProofTest, WhatWasOnALostLineIsSentAgainAndCounts) {
  UplinkStatus status{.connections = 1, .published = 10, .in_flight = 3};
  PublishProof proof(status);
  status.published = 11;
  EXPECT_FALSE(proof.on(status));
  status.connections = 2;
  EXPECT_FALSE(proof.on(status));
  status.published = 12;
  EXPECT_TRUE(proof.on(status));
}

TEST(PublishProofTest, AtAStartTheFirstCounts) {
  PublishProof proof;
  EXPECT_FALSE(proof.on({.connections = 1, .in_flight = 2}));
  EXPECT_TRUE(proof.on({.connections = 1, .published = 1}));
}

}  // namespace
}  // namespace fieldpost
