// SPDX-License-Identifier: Apache-2.0
//
// The way to one chip: transfers that are repeated after a spike, through a multiplexer where the
// chip is behind one, with errors that say which chip it is. One thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "bus.hpp"

namespace i2c {

// Where on the bus a chip is.
struct Place {
  struct Mux {
    uint8_t address = 0;
    uint8_t channel = 0;  // 0 to 7
    bool operator==(const Mux&) const = default;
  };
  uint8_t address = 0;
  std::optional<Mux> mux;  // a TCA9548A or PCA9548A; none: the chip is on the bus itself
};

// A bus that is opened when it is needed, and again when it was lost. Shared by all chips on it.
class Wire {
 public:
  // `muxes`: all that the chips are behind. One that was killed may have left a channel open.
  Wire(std::string name, std::set<uint8_t> muxes)
      : name_(std::move(name)), left_open_(std::move(muxes)) {}
  Bus& bus();  // opens it; errors: BusError
  void lose() { bus_.reset(); }
  // As Bus::lock() and unlock(), and may be nested: the outermost counts. A bus that is lost
  // takes its lock with it; the transfer that lost it throws, through all who hold it.
  void lock();
  void unlock();
  // As Bus::transfer(), through the chip's multiplexer while no other one has a channel open: two
  // chips of one address would answer together.
  void transfer(const Place& place, std::span<const uint8_t> out, std::span<uint8_t> in);
  bool is_open() const { return bus_ != nullptr; }
  std::string words() const;  // "i2c 1"

 private:
  void close_others(const Place& place);

  std::string name_;
  std::unique_ptr<Bus> bus_;
  int locks_ = 0;
  std::set<uint8_t> left_open_;  // muxes that may have a channel open
};

class Link {
 public:
  // `wire` outlives it.
  Link(Wire& wire, const Place& place) : wire_(&wire), place_(place) {}

  // As Bus::transfer(), and once again after a fault that passes. `step` is what messages call it;
  // unless given, the register that `out` begins with. Errors: BusError, naming the chip.
  void transfer(std::span<const uint8_t> out, std::span<uint8_t> in, std::string_view step = {});
  void write(std::initializer_list<uint8_t> out, std::string_view step = {}) {
    transfer({out.begin(), out.size()}, {}, step);
  }
  void read(uint8_t reg, std::span<uint8_t> in) { transfer({&reg, 1}, in); }
  void pause(std::chrono::milliseconds time) { wire_->bus().pause(time); }
  // Around transfers that belong together, as those that change some bits of a register, with a
  // std::lock_guard: nobody else changes it in between. No pause within. Errors: BusError.
  void lock();
  void unlock() { wire_->unlock(); }

  // Something is wrong with what the chip said. Never returns.
  [[noreturn]] void fail(int errno_value, const std::string& what) const;
  std::string where() const;  // "i2c 1 chip 0x48"

 private:
  Wire* wire_;
  Place place_;
};

std::string hex(unsigned number);  // "0x05", "0xBEEF"

// Every further transfer would wait as long and fail as well: nobody on this bus can speak.
bool is_bus_dead(int errno_value);

}  // namespace i2c
