// SPDX-License-Identifier: Apache-2.0
//
// The option tables of [[publish]] and [[subscribe]].
#pragma once

#include <vector>

#include "config/tables.hpp"

namespace fieldpost {

std::vector<CoreOption> publish_options();
std::vector<CoreOption> subscribe_options();

}  // namespace fieldpost
