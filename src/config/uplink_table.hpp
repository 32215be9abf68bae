// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "config/tables.hpp"

namespace fieldpost {

// The option table of [uplink].
std::vector<CoreOption> uplink_options();

}  // namespace fieldpost
