// SPDX-License-Identifier: Apache-2.0
#include "cli/json_words.hpp"

#include <chrono>

#include "base/text.hpp"

namespace fieldpost::cli {

std::string text_of(const Json& json, const char* key) {
  return printable(json.value(key, std::string()));
}

std::string ago(const Json& seconds) {
  if (!seconds.is_number()) return "never";
  return about(std::chrono::nanoseconds(static_cast<int64_t>(seconds.get<double>() * 1e9)));
}

std::string value_words(const Json& value) {
  return value.is_number() ? format_number(value.get<double>()) : printable(dump_json(value), 200);
}

}  // namespace fieldpost::cli
