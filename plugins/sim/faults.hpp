// SPDX-License-Identifier: Apache-2.0
//
// What a bad plugin does to its process, on request.
#pragma once

#include <fieldpost/plugin.hpp>

#include <chrono>
#include <cstdint>

namespace fieldpost::sim {

enum class Fault : uint8_t {
  None,
  Refuse,   // fails to open, for good
  Crash,    // ends by a signal
  Hang,     // never comes back
  Leak,     // 16 MiB more with each poll
  Flood,    // 100,000 samples more with each poll
  Chatter,  // 10,000 lines to the log and to stderr with each poll
  Error,    // the device does not answer
  Garbage,  // hands over readings that break the contract
  Scribble  // sends random datagrams to the supervisor, as memory gone wrong would
};

struct FaultSpec {
  Fault fault = Fault::None;
  std::chrono::nanoseconds after{};  // from opening
  int64_t after_polls = 0;           // that were good; both must have passed
};
FaultSpec read_fault(const sdk::Section& section);

// Does it. Returns for those that a plugin survives.
void commit(Fault fault, sdk::Host& host, const fp_host& raw, uint32_t attribute, uint64_t seed);

}  // namespace fieldpost::sim
