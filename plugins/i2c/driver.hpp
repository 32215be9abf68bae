// SPDX-License-Identifier: Apache-2.0
//
// A chip whose values need a formula or a protocol. What is only registers needs none of this: it
// is rows of the configuration, or a profile.
#pragma once

#include <fieldpost/plugin.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "link.hpp"

namespace i2c {

// Something that a chip measures, or a pin of it.
struct Channel {
  std::string_view name;
  std::string_view unit = {};  // of measure
  bool is_boolean = false;
  bool can_write = false;
};

// What a row asks of a channel. The last four are for those that can be written.
struct Wanted {
  unsigned channel = 0;  // index into Driver::Kind::channels
  bool is_output = false;
  bool pull_up = false;
  bool active_low = false;  // true is the low level
  bool initial = false;     // of an output that was none before: true or false, not a level
};

struct Setup {
  std::vector<Wanted> wanted;
  double range = 0;  // full scale in V; of an ADS1115
};

// A value, or why there is none.
struct Measured {
  fieldpost::sdk::Value value = 0.0;
  uint32_t quality = FP_GOOD;
  std::string detail = {};
};

class Driver {
 public:
  struct Kind {
    std::string_view name;
    std::span<const Channel> channels;
    std::unique_ptr<Driver> (*make)(const Setup& setup);
    bool has_range = false;
  };

  virtual ~Driver() = default;
  // All below: errors are BusErrors, which name the chip.
  //
  // Sets the chip up. Before the first read, and again after one that failed: it may have been
  // without power in between, or be another one.
  virtual void start(Link& link) = 0;
  // What each wanted channel has, in their order.
  virtual std::vector<Measured> read(Link& link) = 0;
  // Sets an output; `index` counts Setup::wanted. After start().
  virtual void write(Link& link, size_t index, bool on);
};

// Those that there are, and the one of that name; nullptr: there is none.
std::span<const Driver::Kind* const> driver_kinds();
const Driver::Kind* find_driver(std::string_view name);

// One small file each.
extern const Driver::Kind kBme280, kBmp280, kSht3x, kSht4x, kAds1115, kBh1750, kMcp23017;

}  // namespace i2c
