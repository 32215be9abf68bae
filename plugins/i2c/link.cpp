// SPDX-License-Identifier: Apache-2.0
#include "link.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <mutex>

namespace i2c {
namespace {

// Passing faults, of a line that has caught a spike.
bool is_worth_a_retry(int code) {
  return code == EREMOTEIO || code == ENXIO || code == ETIMEDOUT || code == EAGAIN;
}

// The adapter is gone (a USB one, unplugged); opening it again may help.
bool is_bus_lost(int code) { return code == ENODEV || code == ESHUTDOWN || code == EBADF; }

// A channel of the multiplexer, for as long as one transfer takes: what stays open would put its
// chips beside those of the next one. Its switches move when the bus is let go (TCA9548A, SCPS207,
// Control Register), so this is a transfer of its own.
void set_channels(Bus& bus, uint8_t mux, uint8_t mask, const char* verb) {
  const std::array<uint8_t, 1> control{mask};
  try {
    bus.transfer(mux, control, {});
  } catch (const BusError& e) {
    throw BusError(e.code(),
                   std::string("cannot ") + verb + " the channel of its multiplexer: " + e.what());
  }
}

// After another error, which says more; the next transfer opens its own channel.
bool try_to_close(Bus& bus, uint8_t mux) {
  try {
    set_channels(bus, mux, 0, "close");
    return true;
  } catch (const BusError&) {
    return false;
  }
}

}  // namespace

std::string hex(unsigned number) {
  std::array<char, 12> text{};
  (void)std::snprintf(text.data(), text.size(), number > 0xFF ? "0x%04X" : "0x%02X", number);
  return text.data();
}

bool is_bus_dead(int errno_value) { return errno_value == ETIMEDOUT || is_bus_lost(errno_value); }

Bus& Wire::bus() {
  if (!bus_) bus_ = open_bus(name_);
  return *bus_;
}

void Wire::lock() {
  if (locks_ == 0) bus().lock();
  ++locks_;
}

void Wire::unlock() {
  if (--locks_ == 0 && bus_) bus_->unlock();
}

std::string Wire::words() const {
  constexpr std::string_view kPrefix = "/dev/i2c-";
  const std::string path = bus_path(name_);
  return "i2c " + (path.starts_with(kPrefix) ? path.substr(kPrefix.size()) : path);
}

std::string Link::where() const {
  std::string text = wire_->words();
  if (place_.mux) {
    text += " mux " + hex(place_.mux->address) + " channel " + std::to_string(place_.mux->channel);
  }
  return text + " chip " + hex(place_.address);
}

void Link::fail(int errno_value, const std::string& what) const {
  throw BusError(errno_value, where() + ": " + what);
}

void Link::lock() {
  try {
    wire_->lock();
  } catch (const BusError& e) {
    if (!wire_->is_open()) throw;
    throw BusError(e.code(), where() + ": " + e.what());
  }
}

void Link::transfer_once(std::span<const uint8_t> out, std::span<uint8_t> in) {
  const std::lock_guard<Wire> together(*wire_);
  Bus& bus = wire_->bus();
  if (!place_.mux) return bus.transfer(place_.address, out, in);
  const auto mask = static_cast<uint8_t>(1U << place_.mux->channel);
  set_channels(bus, place_.mux->address, mask, "open");
  try {
    bus.transfer(place_.address, out, in);
  } catch (...) {
    (void)try_to_close(bus, place_.mux->address);
    throw;
  }
  set_channels(bus, place_.mux->address, 0, "close");
}

void Link::transfer(std::span<const uint8_t> out, std::span<uint8_t> in, std::string_view step) {
  for (int attempt = 0;; ++attempt) {
    try {
      return transfer_once(out, in);
    } catch (const BusError& e) {
      if (!wire_->is_open()) throw BusError(ENODEV, e.what());  // it could not be opened
      if (attempt == 0 && is_worth_a_retry(e.code())) continue;
      if (is_bus_lost(e.code())) wire_->lose();
      const std::string what =
          !step.empty() || out.empty() ? std::string(step) : "register " + hex(out[0]);
      throw BusError(e.code(), where() + " " + what + ": " + e.what());
    }
  }
}

}  // namespace i2c
