// SPDX-License-Identifier: Apache-2.0
//
// [[publish]] and [[subscribe]]: read, and checked against what devices and plugins have. To be
// called when plugins have declared that. What no longer fits a kept configuration is a warning,
// and is left out.
#pragma once

#include "config/node.hpp"
#include "config/problems.hpp"

namespace fieldpost {

void read_publishes(const Node& root, Config& config, Problems& problems);
// After that: what is published must not come back as a command.
void read_subscribes(const Node& root, Config& config, Problems& problems);

}  // namespace fieldpost
