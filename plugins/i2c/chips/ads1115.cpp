// SPDX-License-Identifier: Apache-2.0
//
// Texas Instruments ADS1115: four inputs, or differences of them, converted one after the other.
// Each conversion is asked for, and its settings are read back with the result: what the chip
// converted for somebody else, or after it lost its power, is never taken for ours. Registers:
// SBAS444, 8.1.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <utility>

#include "../driver.hpp"

namespace i2c {
namespace {

constexpr uint8_t kConversion = 0x00, kConfig = 0x01;
constexpr uint16_t kStart = 0x8000;  // and, read: no conversion is running
constexpr uint16_t kSingleShot = 0x0100;
constexpr uint16_t kRate = 0x0080;  // 128 a second
constexpr uint16_t kNoComparator = 0x0003;
constexpr std::chrono::milliseconds kTime(9);  // 1/128 s and the 10 % that its clock may be slow
constexpr int kLooks = 5;
constexpr int16_t kMost = 0x7FFF, kLeast = -0x8000;  // "clips at"

// Their MUX bits are the index.
constexpr std::array<Channel, 8> kChannels = {{{"a0-a1", "V"},
                                               {"a0-a3", "V"},
                                               {"a1-a3", "V"},
                                               {"a2-a3", "V"},
                                               {"a0", "V"},
                                               {"a1", "V"},
                                               {"a2", "V"},
                                               {"a3", "V"}}};

// Full scales by their PGA bits.
constexpr std::array<double, 6> kRanges = {6.144, 4.096, 2.048, 1.024, 0.512, 0.256};

class Ads1115 final : public Driver {
 public:
  explicit Ads1115(const Setup& setup)
      : wanted_(setup.wanted),
        pga_(static_cast<unsigned>(std::ranges::find(kRanges, setup.range) - kRanges.begin())) {}

  void start(Link& /*link*/) override {}

  std::vector<Measured> read(Link& link) override {
    std::vector<Measured> found;
    for (const Wanted& wanted : wanted_) found.push_back(convert(link, wanted.channel));
    return found;
  }

 private:
  Measured convert(Link& link, unsigned channel) const {
    const auto asked =
        static_cast<uint16_t>(channel << 12 | pga_ << 9 | kSingleShot | kRate | kNoComparator);
    const uint16_t config = asked | kStart;
    link.write({kConfig, static_cast<uint8_t>(config >> 8), static_cast<uint8_t>(config & 0xFF)});
    for (int look = 0;; ++look) {
      link.pause(kTime);
      const uint16_t now = word(link, kConfig);
      if ((now & ~kStart) != asked) {
        link.fail(EPROTO, "its settings are " + hex(now) + " instead of " + hex(config) +
                              ": did it lose its power, or does another master use it?");
      }
      if ((now & kStart) != 0) break;
      if (look == kLooks) link.fail(ETIME, "does not end its conversion");
    }
    const auto count = static_cast<int16_t>(word(link, kConversion));
    if (count == kMost || count == kLeast) {
      return {0.0, FP_OUT_OF_RANGE,
              std::string(kChannels.at(channel).name) + " is at or beyond the range"};
    }
    return {count * kRanges.at(pga_) / 32768.0};
  }

  static uint16_t word(Link& link, uint8_t reg) {
    std::array<uint8_t, 2> bytes{};
    link.read(reg, bytes);
    return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
  }

  std::vector<Wanted> wanted_;
  unsigned pga_;
};

}  // namespace

constinit const Driver::Kind kAds1115 = {
    "ads1115", kChannels,
    [](const Setup& setup) -> std::unique_ptr<Driver> { return std::make_unique<Ads1115>(setup); },
    true};

}  // namespace i2c
