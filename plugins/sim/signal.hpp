// SPDX-License-Identifier: Apache-2.0
//
// Signals that stand in for a device. Pure: the same seed, times and counts give the same values.
#pragma once

#include <fieldpost/plugin.hpp>

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace fieldpost::sim {

enum class Shape : uint8_t { Sine, Ramp, Counter, RandomWalk, Constant, Square, Text };
Shape to_shape(std::string_view name);
// FP_NUMBER, FP_BOOLEAN (square) or FP_STRING (text).
uint32_t type_of(Shape shape);

struct SignalSpec {
  Shape shape = Shape::Sine;
  double amplitude = 1;
  double offset = 0;
  double period_s = 60;
  double step = 1;  // Counter: per poll; RandomWalk: at most per poll
  int decimals = 3;
  std::vector<std::string> texts{};  // Text: shown in turn, each for an equal part of the period
  uint64_t seed = 1;
};

class Signal {
 public:
  explicit Signal(SignalSpec spec);
  // The value at `seconds` of the boot clock. Counter and RandomWalk take one step per call.
  sdk::Value next(double seconds);
  // From now on: a counter counts on from there, a walk walks on, anything else stays.
  void set(sdk::Value value);

 private:
  double number(double phase);
  SignalSpec spec_;
  std::mt19937_64 random_;
  double state_ = 0;  // Counter, RandomWalk
  std::optional<sdk::Value> held_;
};

}  // namespace fieldpost::sim
