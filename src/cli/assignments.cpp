// SPDX-License-Identifier: Apache-2.0
#include "cli/assignments.hpp"

#include "base/text.hpp"

namespace fieldpost::cli {

Json value_of(const std::string& text) {
  const auto json = parse_json(text, 1);
  return json && json->is_primitive() ? *json : Json(text);
}

Result<std::pair<std::string, Json>> parse_assignment(const std::string& word, const char* form) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) {
    return Error{Errc::Invalid,
                 "expected " + std::string(form) + ", got '" + printable(word, 60) + "'"};
  }
  return std::pair(word.substr(0, equals), value_of(word.substr(equals + 1)));
}

}  // namespace fieldpost::cli
