// SPDX-License-Identifier: Apache-2.0
//
// ROHM BH1750FVI light sensor. A measurement at a time: in its continuous mode a chip that has lost
// its power would go on answering, with 0. Commands: BH1750FVI Technical Note, Instruction Set
// Architecture. It needs plain transfers: SMBus has no read of two bytes without a register.
#include <array>
#include <cerrno>

#include "../driver.hpp"

namespace i2c {
namespace {

constexpr uint8_t kPowerOn = 0x01, kReset = 0x07;
constexpr uint8_t kOnce = 0x20;                  // one-time, high resolution
constexpr std::chrono::milliseconds kTime(180);  // at most, in that mode
constexpr double kCountsPerLux = 1.2;
constexpr unsigned kMost = 0xFFFF;

constexpr std::array<Channel, 1> kChannels = {{{"illuminance", "lx"}}};

class Bh1750 final : public Driver {
 public:
  explicit Bh1750(const Setup& setup) : wanted_(setup.wanted) {}

  void start(Link& link) override {
    link.write({kPowerOn}, "power on");
    link.write({kReset}, "reset");  // of the last result; it is not taken when powered down
  }

  std::vector<Measured> read(Link& link) override {
    link.write({kOnce}, "measurement");
    link.pause(kTime);
    std::array<uint8_t, 2> bytes{};
    link.transfer({}, bytes, "measurement");
    const auto count = static_cast<unsigned>(bytes[0] << 8 | bytes[1]);
    const Measured result =
        count == kMost ? Measured{0.0, FP_OUT_OF_RANGE, "brighter than the sensor measures"}
                       : Measured{count / kCountsPerLux};
    return std::vector<Measured>(wanted_.size(), result);
  }

 private:
  std::vector<Wanted> wanted_;
};

}  // namespace

constinit const Driver::Kind kBh1750 = {
    "bh1750", kChannels,
    [](const Setup& setup) -> std::unique_ptr<Driver> { return std::make_unique<Bh1750>(setup); }};

}  // namespace i2c
