// SPDX-License-Identifier: Apache-2.0
//
// i2c-dev itself: what can be said without a bus, and, on a machine with the kernel's i2c-stub
// (modprobe i2c-stub chip_addr=0x48), FIELDPOST_I2C_BUS=<its number>, transfers over SMBus.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "bus.hpp"

namespace {

std::string thrown(auto&& body) {
  try {
    body();
  } catch (const i2c::BusError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(I2cDev, ABusThatIsNotThereSaysHowToSwitchItOn) {
  const std::string why = thrown([] { (void)i2c::open_bus("199"); });
  EXPECT_TRUE(contains(why, "there is no /dev/i2c-199")) << why;
  EXPECT_TRUE(contains(why, "raspi-config")) << why;
}

TEST(I2cDev, AnotherFileIsNotABus) {
  const std::string why = thrown([] { (void)i2c::open_bus("/dev/null"); });
  EXPECT_TRUE(contains(why, "/dev/null is not an I2C bus")) << why;
}

TEST(I2cDev, ErrorsOfATransferAreInWords) {
  EXPECT_TRUE(contains(i2c::explain(EBUSY), "kernel driver"));
  EXPECT_TRUE(contains(i2c::explain(ENXIO), "wired and powered"));
  EXPECT_TRUE(contains(i2c::explain(EAGAIN), "arbitration"));
}

TEST(I2cDev, TransfersOnAnAdapterThatOnlySpeaksSmbus) {
  const char* number = std::getenv("FIELDPOST_I2C_BUS");  // NOLINT(concurrency-mt-unsafe)
  if (number == nullptr) GTEST_SKIP() << "FIELDPOST_I2C_BUS names no bus with i2c-stub";
  const auto bus = i2c::open_bus(number);
  const auto round_trip = [&](std::vector<uint8_t> out) {
    bus->transfer(0x48, out, {});
    std::vector<uint8_t> in(out.size() - 1);
    bus->transfer(0x48, std::span(out).first(1), in);
    EXPECT_EQ(in, std::vector<uint8_t>(out.begin() + 1, out.end()));
  };
  round_trip({0x10, 0x5A});
  round_trip({0x20, 0x12, 0x34});
  round_trip({0x30, 0x01, 0x02, 0x03, 0x04});
  std::array<uint8_t, 1> in{};
  // i2c-stub's own answer where no chip is; real adapters have others.
  EXPECT_TRUE(contains(thrown([&] { bus->transfer(0x49, std::array<uint8_t, 1>{0}, in); }),
                       i2c::explain(ENODEV)));
}

TEST(I2cDev, OneAtATimeHasTheBusLocked) {
  const char* number = std::getenv("FIELDPOST_I2C_BUS");  // NOLINT(concurrency-mt-unsafe)
  if (number == nullptr) GTEST_SKIP() << "FIELDPOST_I2C_BUS names no bus with i2c-stub";
  const auto mine = i2c::open_bus(number);
  const auto theirs = i2c::open_bus(number);
  std::atomic<bool> has_it = false;
  mine->lock();
  std::thread other([&] {
    theirs->lock();
    has_it = true;
    theirs->unlock();
  });
  mine->pause(std::chrono::milliseconds(200));  // a lock that is none would be got in this time
  EXPECT_FALSE(has_it);
  mine->unlock();
  other.join();
  EXPECT_TRUE(has_it);
}

}  // namespace
