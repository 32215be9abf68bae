// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace fieldpost::cli {

// What a program of PATH prints on stdout, at most `limit` bytes of it; stderr goes nowhere. It is
// ended after `patience`. Its exit status does not matter. Errors: Io, Timeout, NotFound (no such
// program, or it printed nothing).
Result<std::string> program_output(const std::vector<std::string>& command, size_t limit,
                                   std::chrono::milliseconds patience);

}  // namespace fieldpost::cli
