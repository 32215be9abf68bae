// SPDX-License-Identifier: Apache-2.0
#include "model/topic.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

TEST(Topic, FiltersOverlapWhereATopicMatchesBoth) {
  const auto both = [](const char* a, const char* b) {
    EXPECT_EQ(overlap(a, b), overlap(b, a)) << a << " " << b;
    return overlap(a, b);
  };
  EXPECT_TRUE(both("a/b", "a/b"));
  EXPECT_TRUE(both("a/+", "a/b"));
  EXPECT_TRUE(both("a/+/c", "a/b/+"));
  EXPECT_TRUE(both("a/#", "a/b/c"));
  EXPECT_TRUE(both("a/#", "a")) << "it stands for no level as well";
  EXPECT_TRUE(both("a/+/#", "a/b"));
  EXPECT_TRUE(both("a/b/#", "a/+/c"));
  EXPECT_FALSE(both("a/b", "a"));
  EXPECT_FALSE(both("a/+", "a"));
  EXPECT_FALSE(both("a/+", "a/b/c"));
  EXPECT_FALSE(both("a/+/c", "a/b/d"));
  EXPECT_FALSE(both("a/b/#", "a/c"));
  EXPECT_FALSE(both("ab", "a"));
}

TEST(Topic, LosantsOwn) {
  EXPECT_TRUE(is_losants("losant"));
  EXPECT_TRUE(is_losants("losant/x"));
  EXPECT_FALSE(is_losants("losant2/x"));
  EXPECT_FALSE(is_losants("a/losant"));
}

}  // namespace
}  // namespace fieldpost
