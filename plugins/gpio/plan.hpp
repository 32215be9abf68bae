// SPDX-License-Identifier: Apache-2.0
//
// What the configuration of a gpio instance asks for.
#pragma once

#include <fieldpost/plugin.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "counter.hpp"
#include "lines.hpp"

namespace gpio {

// Which line, as a person says it.
struct LineName {
  std::string name;  // if empty, `offset`
  std::optional<unsigned> offset;
};
std::string to_string(const LineName& line);  // line "door", line 17

struct InputRow {
  uint32_t attribute = 0;
  LineName line;
  InputConfig config;  // `edge` is what is wanted; debouncing may need more from the chip
  int64_t debounce_ns = 0;
};

struct OutputRow {
  uint32_t attribute = 0;
  uint32_t command = 0;
  LineName line;
  OutputConfig config;
};

struct CounterRow {
  uint32_t total = 0;  // attributes; those that are not asked for are not there
  std::optional<uint32_t> rate, frequency, width, missed;
  std::optional<uint32_t> command;  // that sets the total
  LineName line;
  InputConfig config;  // but `edge`
  PulseCounter::Config pulses;
  std::string kept_total, kept_missed;  // the keys under which they outlive us
};

struct Plan {
  explicit Plan(fieldpost::sdk::Declare& declare);
  std::string chip;
  std::vector<InputRow> inputs;
  std::vector<OutputRow> outputs;
  std::vector<CounterRow> counters;
};

}  // namespace gpio
