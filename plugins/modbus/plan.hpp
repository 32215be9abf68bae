// SPDX-License-Identifier: Apache-2.0
//
// What a configuration asks of this plugin, checked as a whole. No device is touched.
#pragma once

#include <fieldpost/plugin.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "blocks.hpp"
#include "registers.hpp"
#include "url.hpp"

namespace fieldpost::modbus {

struct Point {
  Register reg;
  uint32_t attribute = 0;  // as declared
};

// Which of the functions that write a unit knows. Auto: 5 and 6 for one value, 15 and 16 for more.
enum class Writes : uint8_t { Auto, Single, Multiple };

struct Unit {
  int address = 1;
  std::chrono::nanoseconds timeout{};
  Reach reach{};
  Writes writes = Writes::Auto;
  std::vector<Point> points{};
};

// Requests of one poll that may stay unanswered before the rest is left for the next.
inline constexpr int kPatience = 2;

// A command writes one point.
struct Target {
  size_t unit = 0, point = 0;
};

struct Plan {
  explicit Plan(sdk::Declare& declare);
  Endpoint endpoint;
  std::chrono::nanoseconds connect_timeout{}, request_pause{};
  std::vector<Unit> units;       // by the host's numbers
  std::vector<Target> commands;  // by the index that calls carry
};

// What is read of it.
std::vector<Extent> extents_of(const Unit& unit);

// What one request that is not answered takes, with making the connection.
std::chrono::nanoseconds longest_request(const Plan& plan, const Unit& unit);

}  // namespace fieldpost::modbus
