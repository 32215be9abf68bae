// SPDX-License-Identifier: Apache-2.0
//
// What the agent says of itself, in words: parts of its status, fit for a terminal.
#pragma once

#include <string>

#include "base/json.hpp"

namespace fieldpost::cli {

// The text under `key`; "" if there is none.
std::string text_of(const Json& json, const char* key);
// A time in seconds as "3 min"; "never" for what is no number.
std::string ago(const Json& seconds);
// A reading's value: "21.5", "true", "\"open\"".
std::string value_words(const Json& value);

}  // namespace fieldpost::cli
