// SPDX-License-Identifier: Apache-2.0
#include "model/value.hpp"

#include <cmath>

#include "base/text.hpp"

namespace fieldpost {

std::string_view name_of(DataType type) {
  switch (type) {
    case DataType::Number:
      return "number";
    case DataType::Boolean:
      return "boolean";
    case DataType::String:
      return "string";
  }
  return "unknown";
}

std::string to_text(const Value& value) {
  if (const auto* number = std::get_if<double>(&value)) return format_number(*number);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  return "\"" + *std::get_if<std::string>(&value) + "\"";
}

bool is_legal(const Value& value) {
  if (const auto* number = std::get_if<double>(&value)) return std::isfinite(*number);
  if (const auto* text = std::get_if<std::string>(&value)) {
    return text->size() <= kMaxText && is_utf8(*text);
  }
  return true;
}

}  // namespace fieldpost
