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

// A channel of a multiplexer, for as long as one transfer takes: what stays open would put its
// chips beside those of the next one. Its switches move when the bus is let go (TCA9548A, SCPS207,
// Control Register), so this is a transfer of its own.
void set_channels(Bus& bus, uint8_t mux, uint8_t mask, const std::string& what) {
  const std::array<uint8_t, 1> control{mask};
  try {
    bus.transfer(mux, control, {});
  } catch (const BusError& e) {
    throw BusError(e.code(), "cannot " + what + ": " + e.what());
  }
}

// After another error, which says more.
bool try_to_close(Bus& bus, uint8_t mux) {
  try {
    set_channels(bus, mux, 0, "close the channel of its multiplexer");
    return true;
  } catch (const BusError&) {
    return false;
  }
}

// False: it is silent, twice. What has no power has no channel open, and takes no other down.
bool does_close(Bus& bus, uint8_t mux) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      set_channels(bus, mux, 0, "close the channels of the multiplexer " + hex(mux));
      return true;
    } catch (const BusError& e) {
      if (is_bus_dead(e.code()) || e.code() == EAGAIN) throw;  // says nothing of this mux
    }
  }
  return false;
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

// Its own is set to one channel in any case.
void Wire::close_others(const Place& place) {
  std::erase_if(left_open_, [&](uint8_t mux) {
    return !(place.mux && place.mux->address == mux) && does_close(bus(), mux);
  });
}

void Wire::transfer(const Place& place, std::span<const uint8_t> out, std::span<uint8_t> in) {
  const std::lock_guard<Wire> together(*this);
  close_others(place);
  if (!place.mux) return bus().transfer(place.address, out, in);
  const uint8_t mux = place.mux->address;
  left_open_.insert(mux);
  set_channels(bus(), mux, static_cast<uint8_t>(1U << place.mux->channel),
               "open the channel of its multiplexer");
  try {
    bus().transfer(place.address, out, in);
  } catch (...) {
    if (try_to_close(bus(), mux)) left_open_.erase(mux);
    throw;
  }
  set_channels(bus(), mux, 0, "close the channel of its multiplexer");
  left_open_.erase(mux);
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

void Link::transfer(std::span<const uint8_t> out, std::span<uint8_t> in, std::string_view step) {
  for (int attempt = 0;; ++attempt) {
    try {
      return wire_->transfer(place_, out, in);
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
