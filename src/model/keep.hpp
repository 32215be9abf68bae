// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace fieldpost {

// What becomes of an attribute's waiting readings when the outbox runs short of space.
enum class Keep : uint8_t {
  Thin,    // old ones are thinned: extremes and changes stay
  All,     // all stay until nothing else is left to give
  Newest,  // only the newest matters
};

// By the device's Losant id and the attribute's name. What is not in it is thinned.
using KeepRules = std::map<std::pair<std::string, std::string>, Keep>;

inline Keep keep_of(const KeepRules& rules, const std::string& device,
                    const std::string& attribute) {
  const auto rule = rules.find({device, attribute});
  return rule == rules.end() ? Keep::Thin : rule->second;
}

}  // namespace fieldpost
