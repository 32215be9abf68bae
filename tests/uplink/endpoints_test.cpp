// SPDX-License-Identifier: Apache-2.0
#include "uplink/endpoints.hpp"

#include <gtest/gtest.h>

namespace fieldpost {
namespace {

using Texts = std::vector<std::string>;

Texts order_of(const Texts& addresses) {
  Texts texts;
  for (const auto& e : endpoints_of(addresses, 8883)) texts.push_back(text_of(e));
  return texts;
}

TEST(Endpoints, TakeTurnsBetweenTheFamilies) {
  EXPECT_EQ(order_of({"2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.3"}),
            (Texts{"[2001:db8::1]:8883", "192.0.2.1:8883", "[2001:db8::2]:8883", "192.0.2.2:8883",
                   "192.0.2.3:8883"}));
  EXPECT_EQ(order_of({"192.0.2.1", "2001:db8::1"}),
            (Texts{"192.0.2.1:8883", "[2001:db8::1]:8883"}));
}

TEST(Endpoints, OneFamilyKeepsItsOrder) {
  EXPECT_EQ(order_of({"192.0.2.2", "192.0.2.1"}), (Texts{"192.0.2.2:8883", "192.0.2.1:8883"}));
  EXPECT_EQ(order_of({}), Texts{});
}

TEST(Endpoints, WhatIsNoAddressIsLeftOut) {
  EXPECT_EQ(order_of({"broker.example", "192.0.2.1", ""}), Texts{"192.0.2.1:8883"});
}

}  // namespace
}  // namespace fieldpost
