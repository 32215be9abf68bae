// SPDX-License-Identifier: Apache-2.0
//
// JSON for configuration, commands, control and status; what is published is appended by hand
// (uplink/payload.hpp). Objects keep the order in which they were filled, for people.
#pragma once

#include <nlohmann/json.hpp>

#include <string_view>

#include "base/result.hpp"

namespace fieldpost {

using Json = nlohmann::ordered_json;

// Members of one object that parse_json() takes. An object that keeps their order looks each one up
// among all before it: a hostile 1 MB with 80,000 of them would take seconds.
inline constexpr size_t kMaxMembers = 1'000;

// Strict: one document, nothing after it, nesting at most `depth`, no object wider than
// kMaxMembers. Never throws. Errors: Invalid.
Result<Json> parse_json(std::string_view text, int depth = 32);
// One line, bytes that are not UTF-8 replaced. Never throws.
std::string dump_json(const Json& json);

}  // namespace fieldpost
