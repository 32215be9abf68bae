// SPDX-License-Identifier: Apache-2.0
//
// Microchip MCP23017: sixteen pins. Its latch keeps the outputs while no agent runs, so pins that
// are outputs already are left as they are; those of a chip that was without power are inputs, and
// become outputs at the level that the configuration says. Registers: DS20001952, table 3-3 (BANK
// 0, as after a reset).
#include <array>
#include <cerrno>
#include <mutex>
#include <string>

#include "../driver.hpp"

namespace i2c {
namespace {

// Of port A; that of port B follows.
constexpr uint8_t kDirection = 0x00, kInvert = 0x02, kPullUp = 0x0C, kPins = 0x12, kLatch = 0x14;

constexpr Channel pin(std::string_view name) { return {name, {}, true, true}; }
constexpr std::array<Channel, 16> kChannels = {
    pin("a0"), pin("a1"), pin("a2"), pin("a3"), pin("a4"), pin("a5"), pin("a6"), pin("a7"),
    pin("b0"), pin("b1"), pin("b2"), pin("b3"), pin("b4"), pin("b5"), pin("b6"), pin("b7")};

class Mcp23017 final : public Driver {
 public:
  explicit Mcp23017(const Setup& setup) : wanted_(setup.wanted) {
    for (const Wanted& wanted : wanted_) {
      const uint16_t bit = bit_of(wanted);
      used_ |= bit;
      if (wanted.is_output) outputs_ |= bit;
      if (wanted.is_output && wanted.initial != wanted.active_low) initial_ |= bit;
      if (wanted.pull_up) pull_ups_ |= bit;
    }
  }

  void start(Link& link) override {
    const std::lock_guard<Link> together(link);
    const uint16_t direction = get(link, kDirection);  // 1: input
    const uint16_t fresh = direction & outputs_;
    if (fresh != 0) {  // the level first, then the pin drives
      put(link, kLatch, (get(link, kLatch) & ~fresh) | (initial_ & fresh));
    }
    put(link, kInvert, get(link, kInvert) & ~used_);
    put(link, kPullUp, (get(link, kPullUp) & ~used_) | pull_ups_);
    put(link, kDirection, expected(direction));
  }

  std::vector<Measured> read(Link& link) override {
    const uint16_t levels = get(link, kPins);
    check(link);  // afterwards: a reset in between is noticed as well
    std::vector<Measured> found;
    for (const Wanted& wanted : wanted_) found.push_back({is_on(wanted, levels)});
    return found;
  }

  void write(Link& link, size_t index, bool on) override {
    const Wanted& wanted = wanted_.at(index);
    const uint16_t bit = bit_of(wanted);
    const std::lock_guard<Link> together(link);
    const uint16_t latch = get(link, kLatch);
    put(link, kLatch, on != wanted.active_low ? latch | bit : latch & ~bit);
  }

 private:
  static uint16_t bit_of(const Wanted& wanted) {
    return static_cast<uint16_t>(1U << wanted.channel);
  }
  static bool is_on(const Wanted& wanted, uint16_t levels) {
    return ((levels & bit_of(wanted)) != 0) != wanted.active_low;
  }
  // That it is as start() left it. A reset chip with inputs alone has lost nothing but its
  // pull-ups.
  void check(Link& link) const {
    const uint16_t direction = get(link, kDirection);
    if (direction != expected(direction)) {
      link.fail(EPROTO, "its pins have lost their directions: it was reset, or without power");
    }
    if ((get(link, kPullUp) & used_) != pull_ups_) {
      link.fail(EPROTO, "its pins have lost their pull-ups: it was reset, or without power");
    }
    if ((get(link, kInvert) & used_) != 0) {
      link.fail(EPROTO, "its pins are inverted: does another program use it?");
    }
  }
  // Pins that no row has keep the direction that they have.
  uint16_t expected(uint16_t direction) const {
    return static_cast<uint16_t>((direction & ~used_) | (used_ & ~outputs_));
  }

  static uint16_t get(Link& link, uint8_t reg) {
    std::array<uint8_t, 2> bytes{};
    link.read(reg, bytes);
    return static_cast<uint16_t>(bytes[0] | bytes[1] << 8);
  }
  static void put(Link& link, uint8_t reg, int bits) {
    link.write({reg, static_cast<uint8_t>(bits & 0xFF), static_cast<uint8_t>(bits >> 8 & 0xFF)});
  }

  std::vector<Wanted> wanted_;
  uint16_t used_ = 0, outputs_ = 0, initial_ = 0, pull_ups_ = 0;
};

}  // namespace

constinit const Driver::Kind kMcp23017 = {"mcp23017", kChannels,
                                          [](const Setup& setup) -> std::unique_ptr<Driver> {
                                            return std::make_unique<Mcp23017>(setup);
                                          }};

}  // namespace i2c
