// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "model/value.hpp"

namespace fieldpost {

// [[plugin.guard]]: what holds for an output whoever commands it, and what becomes of it when
// nobody watches over it. The plugin's own process sees to it (host/output_guard.hpp).
struct GuardRule {
  std::string command;          // that drives the output, and has one argument
  std::optional<Value> safe;    // of that argument's type; nothing: it keeps what it has
  bool hold_at_stop = false;    // at a stop and a start `safe` is not driven
  nanoseconds uplink_silent{};  // after that `safe` is driven; 0: never
  nanoseconds min_on{}, min_off{};
  nanoseconds max_on{};   // after that `safe` is driven; 0: never
  uint32_t max_rate = 0;  // changes in any minute; 0: any number
  std::string interlock;  // of those of one name within the instance one is on at a time
  bool operator==(const GuardRule&) const = default;
};

// Whether a value of an output is "on": true, or a number other than 0. A text is neither.
inline bool is_on(const Value& value) {
  if (const bool* b = std::get_if<bool>(&value)) return *b;
  const double* number = std::get_if<double>(&value);
  return number != nullptr && *number != 0;
}

}  // namespace fieldpost
