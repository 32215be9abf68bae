// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace fieldpost {

// What an attribute, an option or an argument holds. Numbers are finite; text is UTF-8 of at most
// kMaxText bytes (Losant's limit for a string attribute).
using Value = std::variant<double, bool, std::string>;
inline constexpr size_t kMaxText = 65'536;

// The values of FP_NUMBER, FP_BOOLEAN and FP_STRING, and of the stored form: do not change.
enum class DataType : uint8_t { Number = 1, Boolean = 2, String = 3 };

inline DataType type_of(const Value& value) { return static_cast<DataType>(value.index() + 1); }

// "number", "boolean", "string": Losant's words.
std::string_view name_of(DataType type);

// As a person would write it: 21.5, true, "text".
std::string to_text(const Value& value);

// Whether it may be published and stored: finite, UTF-8, not too long.
bool is_legal(const Value& value);

}  // namespace fieldpost
