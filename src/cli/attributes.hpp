// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

namespace fieldpost::cli {

// What each device has to declare in Losant, on stdout, for people.
void print_attributes(const Config& config);

}  // namespace fieldpost::cli
