// SPDX-License-Identifier: Apache-2.0
#include "signal.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <utility>

#include "../common/rounding.hpp"

namespace fieldpost::sim {

using plugin_common::rounded;

Shape to_shape(std::string_view name) {
  if (name == "sine") return Shape::Sine;
  if (name == "ramp") return Shape::Ramp;
  if (name == "counter") return Shape::Counter;
  if (name == "random_walk") return Shape::RandomWalk;
  if (name == "constant") return Shape::Constant;
  if (name == "square") return Shape::Square;
  if (name == "text") return Shape::Text;
  throw std::logic_error("no such shape");  // the table allows no other
}

uint32_t type_of(Shape shape) {
  if (shape == Shape::Square) return FP_BOOLEAN;
  return shape == Shape::Text ? FP_STRING : FP_NUMBER;
}

Signal::Signal(SignalSpec spec) : spec_(std::move(spec)), random_(spec_.seed) {
  state_ = spec_.shape == Shape::Counter ? spec_.offset - spec_.step : spec_.offset;
}

sdk::Value Signal::next(double seconds) {
  if (held_) return *held_;
  const double turns = seconds / spec_.period_s;
  const double phase = turns - std::floor(turns);
  if (spec_.shape == Shape::Square) return phase < 0.5;
  if (spec_.shape == Shape::Text) {
    if (spec_.texts.empty()) return std::string();
    const auto n = static_cast<double>(spec_.texts.size());
    return spec_.texts[std::min(static_cast<size_t>(phase * n), spec_.texts.size() - 1)];
  }
  return rounded(number(phase), spec_.decimals);
}

double Signal::number(double phase) {
  switch (spec_.shape) {
    case Shape::Sine:
      return spec_.offset + spec_.amplitude * std::sin(2 * std::numbers::pi * phase);
    case Shape::Ramp:
      return spec_.offset + spec_.amplitude * phase;
    case Shape::Counter:
      return state_ += spec_.step;
    case Shape::RandomWalk: {
      // Not uniform_real_distribution: its results differ between standard libraries.
      const double unit = static_cast<double>(random_() >> 11) * 0x1p-53;
      const double low = spec_.offset - spec_.amplitude;
      const double high = spec_.offset + spec_.amplitude;
      state_ = std::clamp(state_ + spec_.step * (2 * unit - 1), low, high);
      return state_;
    }
    default:
      return spec_.offset;
  }
}

void Signal::set(sdk::Value value) {
  if (spec_.shape == Shape::Counter) {
    state_ = std::get<double>(value) - spec_.step;  // which the next call adds
  } else if (spec_.shape == Shape::RandomWalk) {
    state_ = std::get<double>(value);
  } else {
    held_ = std::move(value);
  }
}

}  // namespace fieldpost::sim
