// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "supervisor/host_fsm.hpp"

namespace fieldpost {

// The log of an instance's life: a line for each change that people care about. One that ends too
// often gets a line for each end, and the next good word when it has been up for a while.
void log_state(const std::string& name, HostState state, const std::string& reason, bool too_often);

}  // namespace fieldpost
