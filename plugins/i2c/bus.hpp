// SPDX-License-Identifier: Apache-2.0
//
// An I2C bus as this plugin needs it. Implemented over i2c-dev (bus.cpp), and by a fake in the
// tests: whoever links chooses. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

namespace i2c {

// The transfer or the bus failed, or what the chip said makes no sense.
class BusError : public std::runtime_error {
 public:
  BusError(int errno_value, const std::string& message)
      : std::runtime_error(message), code_(errno_value) {}
  int code() const { return code_; }  // an errno

 private:
  int code_;
};

class Bus {
 public:
  virtual ~Bus() = default;
  // Writes `out` to the chip and, without letting the bus go, reads in.size() bytes from it. Either
  // may be empty, not both. All or nothing; others on the same bus cannot come between.
  // Errors: BusError, whose message says what happened but not to which chip.
  virtual void transfer(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) = 0;
  // Between the two no other instance and no command line of Fieldpost transfers on this bus: for
  // transfers that belong together, with a std::lock_guard. Waits for whoever has it, which is
  // never longer than their transfers take. Errors: BusError.
  virtual void lock() = 0;
  virtual void unlock() = 0;
  // Lets a chip do what takes it time. Not while locked.
  virtual void pause(std::chrono::milliseconds time) = 0;
};

// `bus` is a path ("/dev/i2c-1") or a number ("1"). Errors: BusError, saying what to do.
std::unique_ptr<Bus> open_bus(const std::string& bus);

// "/dev/i2c-1" for "1"; a path stays as it is.
std::string bus_path(const std::string& bus);

// What an errno of a transfer means at the chip: "no acknowledge (Remote I/O error): …".
std::string explain(int errno_value);

}  // namespace i2c
