// SPDX-License-Identifier: Apache-2.0
//
// Tests of chips with a driver, on a fake bus. They are configured by the profiles that are
// installed.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "i2c_fake_bus.hpp"
#include "plugins/profile_row.hpp"

namespace i2c::fakes {

using fieldpost::fakes::FakeHost;
using fieldpost::fakes::profile_row;
using fieldpost::fakes::Row;

inline constexpr uint8_t kAddress = 0x40;

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class I2cChips : public testing::Test {
 protected:
  void SetUp() override { world = {}; }
  void TearDown() override {
    EXPECT_EQ(world.unlocked_transfers, 0);
    if (host_ != nullptr) {
      EXPECT_TRUE(host_->refusals.empty()) << host_->trouble();
    }
  }
  void start(Row chip) {
    host_ = std::make_unique<FakeHost>(Row::Values{{"bus", std::string("1")}},
                                       Row::Tables{{"chip", {std::move(chip)}}});
    ASSERT_EQ(host_->open(), FP_OK) << host_->trouble();
  }
  void start(const std::string& profile) {
    start(profile_row("i2c", profile, {{"address", int{kAddress}}}));
  }
  // Nothing came of a poll but this.
  void expect_error(const std::string& part) {
    const size_t samples = host_->samples.size();
    EXPECT_EQ(host_->poll(), FP_E_IO);
    EXPECT_TRUE(contains(host_->error, part)) << host_->error;
    EXPECT_TRUE(contains(host_->error, "i2c 1 chip 0x40")) << host_->error;
    EXPECT_EQ(host_->samples.size(), samples);
  }
  std::unique_ptr<FakeHost> host_;
};

}  // namespace i2c::fakes
