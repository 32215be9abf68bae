// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "cli/paths.hpp"

namespace fieldpost::cli {

// Waits until the agent whose sockets these are runs as the gateway `device_id`, on what is in
// place, and the broker has acknowledged more than `before` readings of it, and says on stdout what
// is in the way meanwhile, whenever that changes. Errors: Timeout, with what was in the way last.
Result<> await_first_state(const Paths& paths, const std::string& device_id, int64_t before,
                           std::chrono::nanoseconds limit);

}  // namespace fieldpost::cli
