// SPDX-License-Identifier: Apache-2.0
//
// Chips behind a multiplexer, and several instances on one bus: who speaks to whom, and that nobody
// comes between.
#include <gtest/gtest.h>

#include <cerrno>

#include "fakes/fake_host.hpp"
#include "i2c_fake_bus.hpp"

namespace {

using fieldpost::fakes::FakeHost;
using fieldpost::fakes::Row;
using i2c::fakes::world;

constexpr uint8_t kMux = 0x70, kOther = 0x71, kChip = 0x48;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Row thermometer(int mux, int channel, const std::string& attribute) {
  return Row({{"address", int{kChip}}, {"mux", mux}, {"mux_channel", channel}},
             {{"register", {Row{{"attribute", attribute}, {"register", 0}}}}});
}

class I2cMux : public testing::Test {
 protected:
  void SetUp() override {
    world = {};
    for (const uint8_t mux : {kMux, kOther}) {
      for (unsigned channel = 0; channel < 8; ++channel) {
        const auto value = static_cast<uint8_t>(mux == kMux ? channel : 100 + channel);
        world.muxes[mux].chips[channel][kChip].registers = {{0, {value}}};
      }
    }
  }
  void TearDown() override {
    EXPECT_EQ(world.unlocked_transfers, 0);
    EXPECT_FALSE(world.left_open);
    world = {};
  }
  static std::unique_ptr<FakeHost> start(std::vector<Row> chips) {
    auto host = std::make_unique<FakeHost>(Row::Values{{"bus", std::string("1")}},
                                           Row::Tables{{"chip", std::move(chips)}});
    EXPECT_EQ(host->open(), FP_OK) << host->trouble();
    return host;
  }
};

TEST_F(I2cMux, ChipsOfOneAddressAreToldApart) {
  const auto host =
      start({thermometer(kMux, 0, "a"), thermometer(kMux, 7, "b"), thermometer(kOther, 7, "c")});
  for (int round = 0; round < 2; ++round) {
    for (const unsigned unit : {2u, 0u, 1u}) {
      ASSERT_EQ(host->poll(unit), FP_OK) << host->trouble();
    }
  }
  EXPECT_EQ(host->number("a", 0), 0);
  EXPECT_EQ(host->number("b", 1), 7);
  EXPECT_EQ(host->number("c", 2), 107);
}

// Whenever one lets go of the bus, the other polls.
TEST_F(I2cMux, TwoInstancesOnOneBusDoNotDisturbEachOther) {
  const auto one = start({thermometer(kMux, 1, "a")});
  const auto two = start({thermometer(kMux, 2, "a"), thermometer(kOther, 3, "b")});
  int inner = 0;
  world.when_unlocked = [&] {
    static bool busy = false;
    if (std::exchange(busy, true)) return;
    EXPECT_EQ(two->poll(0), FP_OK) << two->trouble();
    EXPECT_EQ(two->poll(1), FP_OK) << two->trouble();
    ++inner;
    busy = false;
  };
  for (int round = 0; round < 3; ++round) ASSERT_EQ(one->poll(), FP_OK) << one->trouble();
  EXPECT_EQ(one->number("a"), 1);
  EXPECT_EQ(two->number("a", 0), 2);
  EXPECT_EQ(two->number("b", 1), 103);
  EXPECT_GE(inner, 3);
}

TEST_F(I2cMux, ASilentChipIsNamedWithItsChannelWhichIsClosed) {
  const auto host = start({thermometer(kMux, 3, "a")});
  world.muxes[kMux].chips[3].clear();
  EXPECT_EQ(host->poll(), FP_E_IO);
  EXPECT_TRUE(contains(host->error,
                       "i2c 1 mux 0x70 channel 3 chip 0x48 register 0x00: no "
                       "acknowledge"))
      << host->error;
  EXPECT_EQ(world.muxes[kMux].open, 0);
}

TEST_F(I2cMux, ASilentMuxIsNamed) {
  const auto host = start({thermometer(kMux, 3, "a")});
  world.muxes.erase(kMux);
  EXPECT_EQ(host->poll(), FP_E_IO);
  EXPECT_TRUE(contains(host->error, "cannot open the channel of its multiplexer: no acknowledge"))
      << host->error;
}

// The next transfer might meet two chips of one address.
TEST_F(I2cMux, AChannelThatDoesNotCloseFailsTheTransfer) {
  const auto host = start({thermometer(kMux, 3, "a")});
  world.muxes[kMux].errors = {0, EREMOTEIO, 0, EREMOTEIO};
  EXPECT_EQ(host->poll(), FP_E_IO);
  EXPECT_TRUE(contains(host->error, "cannot close the channel")) << host->error;
  world.left_open = false;  // it was, and there was nothing to be done
  EXPECT_EQ(host->poll(), FP_OK) << host->trouble();
}

TEST_F(I2cMux, AChannelThatDidNotCloseIsClosedBeforeAnotherChipIsAsked) {
  const auto host = start({thermometer(kMux, 3, "a"), thermometer(kOther, 5, "b")});
  world.muxes[kMux].errors = {0, EREMOTEIO, 0, EREMOTEIO};
  EXPECT_EQ(host->poll(0), FP_E_IO);
  world.left_open = false;  // it was, and there was nothing to be done
  EXPECT_EQ(host->poll(1), FP_OK) << host->trouble();
  EXPECT_EQ(host->number("b", 1), 105);
  EXPECT_EQ(world.muxes[kMux].open, 0);
}

// As one that was killed leaves it.
TEST_F(I2cMux, AChannelThatWasOpenAtTheStartIsClosed) {
  world.muxes[kMux].open = 1U << 3;
  world.muxes[kMux].errors = {EREMOTEIO};
  const auto host = start({thermometer(kMux, 3, "a"), thermometer(kOther, 5, "b")});
  EXPECT_EQ(host->poll(1), FP_OK) << host->trouble();
  EXPECT_EQ(host->number("b", 1), 105);
}

// What has no power has no channel open.
TEST_F(I2cMux, ASilentMuxTakesNoOtherDown) {
  const auto host = start({thermometer(kMux, 3, "a"), thermometer(kOther, 5, "b")});
  world.muxes.erase(kMux);
  EXPECT_EQ(host->poll(0), FP_E_IO);
  EXPECT_EQ(host->poll(1), FP_OK) << host->trouble();
}

TEST_F(I2cMux, AMuxOfWhichItIsNotKnownWhetherItIsClosedFailsTheOthers) {
  const auto host = start({thermometer(kMux, 3, "a"), thermometer(kOther, 5, "b")});
  world.muxes[kMux].errors = {EAGAIN, EAGAIN};  // lost arbitration
  EXPECT_EQ(host->poll(1), FP_E_IO);
  EXPECT_TRUE(contains(host->error, "cannot close the channels of the multiplexer 0x70"))
      << host->error;
  EXPECT_EQ(host->poll(1), FP_OK) << host->trouble();
}

TEST_F(I2cMux, ASpikeAtTheMuxIsRetried) {
  const auto host = start({thermometer(kMux, 3, "a")});
  world.muxes[kMux].errors = {EREMOTEIO};
  EXPECT_EQ(host->poll(), FP_OK) << host->trouble();
  EXPECT_EQ(host->number("a"), 3);
}

TEST_F(I2cMux, AnAddressOnTheBusItselfIsNotFreeBehindAMux) {
  FakeHost host({{"bus", "1"}},
                {{"chip",
                  {thermometer(kMux, 3, "a"),
                   Row({{"address", int{kChip}}},
                       {{"register", {Row{{"attribute", "b"}, {"register", 0}}}}})}}});
  EXPECT_EQ(host.declare(), FP_E_INVALID);
  ASSERT_EQ(host.problems.size(), 1u) << host.trouble();
  EXPECT_EQ(host.problems[0].text, "a chip above has this address");
}

}  // namespace
