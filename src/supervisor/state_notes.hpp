// SPDX-License-Identifier: Apache-2.0
//
// The meta of states (model/state_meta.hpp), where `uplink.meta` asks for it: a number for each
// state of a device, so that whoever receives them sees what is missing, and which of the
// instance's attributes of that device have no good value. Main thread.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/reading.hpp"
#include "supervisor/instance.hpp"

namespace fieldpost {

class StateNotes {
 public:
  explicit StateNotes(SymbolTable& symbols) : symbols_(&symbols) {}

  // To samples that `instance` has just made. Numbers begin with 1 when this is made, and samples
  // of one device and millisecond, which become one state, share one.
  void add_to(std::vector<DeviceSample>& samples, const Instance& instance);
  // To samples that are of no plugin: with what is known of all of them.
  void add_to(std::vector<DeviceSample>& samples, std::span<const Instance* const> instances);

 private:
  struct Last {
    int64_t sequence = 0;
    int64_t ms = -1;        // of which
    int64_t whole_ms = -1;  // of the last state that has the qualities of all instances
  };
  int64_t next(const DeviceSample& sample);
  void add_sequence(DeviceSample& sample);
  void add_qualities(DeviceSample& sample, const Instance& instance);

  SymbolTable* symbols_;
  std::unordered_map<Symbol, Last> devices_;  // by Losant id
};

}  // namespace fieldpost
