// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "model/plugin_info.hpp"

namespace fieldpost {

// Of a JSON pointer, the member of the whole that it leads into; empty: the whole.
std::string first_token(const std::string& pointer);

// Checks a payload against a command's table and puts its arguments in the table's order, with
// fallbacks filled in. An object names the arguments; anything else is the value of the only
// argument, or of the only required one; an absent payload gives none. The member in which
// `id_pointer` finds the sender's id may accompany the arguments. Errors: Invalid; the message
// names the argument, what was expected and what was got.
Result<std::vector<std::optional<Value>>> check_arguments(const CommandSpec& spec,
                                                          const Json* payload,
                                                          const std::string& id_pointer);

}  // namespace fieldpost
