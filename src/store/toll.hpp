// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "model/state_meta.hpp"
#include "model/symbol.hpp"

namespace fieldpost {

// What was given up since the start, for want of space or for its age: counts of readings. Any
// thread.
class Toll {
 public:
  struct Line {
    std::string device, attribute;  // Losant id and name; empty: of rows that could not be read
    int64_t thinned = 0;
    int64_t dropped = 0;
    int64_t sum() const { return thinned + dropped; }
  };

  void add_thinned(Symbol device, Symbol attribute, int64_t readings) {
    if (state_meta::is_meta(attribute)) return;
    const std::scoped_lock lock(mutex_);
    line(device, attribute).thinned += readings;
    thinned_ += readings;
  }
  void add_dropped(Symbol device, Symbol attribute, int64_t readings) {
    if (state_meta::is_meta(attribute)) return;
    const std::scoped_lock lock(mutex_);
    line(device, attribute).dropped += readings;
    dropped_ += readings;
  }

  int64_t thinned() const;
  int64_t dropped() const;
  // Those that lost most, at most so many.
  std::vector<Line> most(size_t limit) const;

 private:
  Line& line(Symbol device, Symbol attribute);

  mutable std::mutex mutex_;  // guards all below
  std::map<std::pair<std::string, std::string>, Line> lines_;
  int64_t thinned_ = 0;
  int64_t dropped_ = 0;
};

}  // namespace fieldpost
