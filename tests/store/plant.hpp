// SPDX-License-Identifier: Apache-2.0
//
// What the tests of thinning measure: a plant of 20 attributes, and what was true of it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "model/keep.hpp"
#include "model/symbol.hpp"
#include "model/value.hpp"
#include "store/thin.hpp"

namespace fieldpost::testing {

inline constexpr int64_t kUtcOffset = 1'700'000'123'456;

// 20 attributes of two devices, by what moves them; [a] is the attribute's number.
class Plant {
 public:
  static constexpr size_t kAttributes = 20;
  static constexpr size_t kNumbers = 17;  // the first
  explicit Plant(uint64_t seed) : random_(seed) {
    for (size_t a = 0; a < kAttributes; ++a) names_[a] = table_.intern("a" + std::to_string(a));
  }
  static int64_t device_of(size_t a) { return a < 12 ? 1 : 2; }
  Symbol name(size_t a) const { return names_[a]; }
  size_t index(Symbol name) const {
    return static_cast<size_t>(std::ranges::find(names_, name) - names_.begin());
  }
  static Keep keep(size_t a) { return a == 18 ? Keep::All : a == 19 ? Keep::Newest : Keep::Thin; }

  // Whether there is a reading of `a` now, and which.
  std::optional<Value> read(size_t a, int64_t ms) {
    if (a == 17) {  // a door
      if (draw(2000) == 0) door_ = !door_;
      return door_;
    }
    if (a == 18) {  // a batch's number, to be kept
      if (draw(200) != 0) return std::nullopt;
      return ++batch_;
    }
    if (a == 19) return std::to_string(ms / kThinHourMs);  // a text of state
    double& v = levels_[a];
    const double day = static_cast<double>(ms) / (24. * kThinHourMs);
    switch (a % 6) {
      case 0:  // temperature, a tenth of a degree
        v += static_cast<double>(draw(3)) - 1;
        return std::round(v + 80 * std::sin(6.28 * day)) / 10;
      case 1:  // noise of three digits
        return static_cast<double>(draw(1000)) / 10;
      case 2:  // a meter
        return v += static_cast<double>(draw(5));
      case 3:  // rarely changes
        if (draw(1000) == 0) v = static_cast<double>(draw(100));
        return v;
      case 4:  // a float of full length
        v = 0.99F * static_cast<float>(v) + static_cast<float>(draw(1000)) / 997.F;
        return static_cast<double>(static_cast<float>(v));
      default:  // quiet but for peaks
        return draw(500) == 0 ? 1e3 + static_cast<double>(draw(1000)) : 20.;
    }
  }

 private:
  uint64_t draw(uint64_t below) { return random_() % below; }
  std::minstd_rand random_;
  SymbolTable table_;
  std::array<Symbol, kAttributes> names_{};
  std::array<double, kAttributes> levels_{};
  bool door_ = false;
  double batch_ = 0;
};

// What was true, to hold the rest against.
struct Truth {
  struct Extremes {
    double least = 1e300, greatest = -1e300;
    void add(double v) {
      least = std::min(least, v);
      greatest = std::max(greatest, v);
    }
    bool operator==(const Extremes&) const = default;
  };
  std::map<int64_t, std::array<Extremes, Plant::kNumbers>> hours;
  std::vector<Value> door, batches;
  std::vector<int64_t> door_ms;
  Value state;
  int64_t readings = 0;

  void add(size_t a, int64_t ms, const Value& value) {
    ++readings;
    if (a < Plant::kNumbers) {
      hours[(ms + kUtcOffset) / kThinHourMs].at(a).add(std::get<double>(value));
    } else if (a == 17 && (door.empty() || door.back() != value)) {
      door.push_back(value);
      door_ms.push_back(ms);
    } else if (a == 18) {
      batches.push_back(value);
    } else if (a == 19) {
      state = value;
    }
  }
};

}  // namespace fieldpost::testing
