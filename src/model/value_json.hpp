// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "base/json.hpp"
#include "model/value.hpp"

namespace fieldpost {

inline Json to_json(const Value& value) {
  return std::visit([](const auto& held) { return Json(held); }, value);
}

// nullopt: it is no number, boolean or text. Whether the value is_legal() is not looked at.
inline std::optional<Value> value_from(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  return std::nullopt;
}

}  // namespace fieldpost
