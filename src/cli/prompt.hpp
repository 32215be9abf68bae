// SPDX-License-Identifier: Apache-2.0
//
// Questions to the person at the terminal.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace fieldpost::cli {

enum class Echo : uint8_t { On, Off };

// Somebody can be asked: stdin is a terminal.
bool is_somebody_there();

// One line of stdin, without the blanks around it; the question is written to stderr. Without echo
// nothing of the answer is shown, and the terminal is as it was before whatever ends the program:
// Ctrl-C too. Errors: Unavailable (no answer: end of input), Io.
Result<std::string> ask(const std::string& question, Echo echo);

}  // namespace fieldpost::cli
