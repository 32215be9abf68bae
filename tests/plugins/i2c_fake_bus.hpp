// SPDX-License-Identifier: Apache-2.0
//
// A bus in memory, with chips that tests make up. It is what i2c::open_bus() opens in a test that
// is built with i2c_fake_bus.cpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "bus.hpp"

namespace i2c::fakes {

using Bytes = std::vector<uint8_t>;

struct FakeChip {
  std::map<uint8_t, Bytes> registers;  // of any width; bytes in the order of the wire
  std::deque<int> errors;              // of the next transfers; 0: none
  int transfers = 0;
  bool deaf = false;  // takes writes and forgets them
  // Instead of registers: a protocol. Throws BusError.
  std::function<void(std::span<const uint8_t> out, std::span<uint8_t> in)> speaks = nullptr;
};

// A TCA9548A: the channels whose bits are set in what was written to it last are open.
struct FakeMux {
  std::map<unsigned, std::map<uint8_t, FakeChip>> chips;  // by channel
  uint8_t open = 0;
  std::deque<int> errors;  // as FakeChip
};

struct World {
  std::map<uint8_t, FakeChip> chips;
  std::map<uint8_t, FakeMux> muxes;
  bool left_open = false;                         // a channel was open when the bus was unlocked
  std::function<void()> when_unlocked = nullptr;  // others that wait for the bus
  int open_error = 0;
  int opened = 0;
  bool locked = false;
  int unlocked_transfers = 0;
  std::chrono::milliseconds paused{};  // in all; nobody waits
};
extern World world;

// A chip whose registers are a byte each, with a number that counts up by itself.
struct Memory {
  std::map<uint8_t, uint8_t> bytes;
  void put(uint8_t from, const Bytes& content);
  void operator()(std::span<const uint8_t> out, std::span<uint8_t> in);
};

[[noreturn]] void fail(int error);

}  // namespace i2c::fakes
