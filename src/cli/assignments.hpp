// SPDX-License-Identifier: Apache-2.0
//
// "NAME=VALUE" on a command line, where VALUE is data.
#pragma once

#include <string>
#include <utility>

#include "base/json.hpp"
#include "base/result.hpp"

namespace fieldpost::cli {

// A value that is JSON is that; anything else is text, so that name=Bob needs no quotes, and text
// that looks like a number has them twice: name='"42"'.
Json value_of(const std::string& text);

// `form` is what is expected: "ATTR=VALUE". Errors: Invalid.
Result<std::pair<std::string, Json>> parse_assignment(const std::string& word, const char* form);

}  // namespace fieldpost::cli
