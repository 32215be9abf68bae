// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "cli/paths.hpp"

namespace fieldpost::cli {

// What an agent had done before it was to take up what is in place.
struct Before {
  int64_t readings = 0;  // that the broker had acknowledged
  int64_t loads = -1;    // configurations that it had read; below 0: it was started since
};

// Waits until the agent whose sockets these are runs as the gateway `device_id`, on what is in
// place, and the broker has acknowledged more readings of it than before, and says on stdout what
// is in the way meanwhile, whenever that changes. Errors: Timeout, with what was in the way last.
Result<> await_first_state(const Paths& paths, const std::string& device_id, const Before& before,
                           std::chrono::nanoseconds limit);

}  // namespace fieldpost::cli
