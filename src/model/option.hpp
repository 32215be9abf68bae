// SPDX-License-Identifier: Apache-2.0
//
// Tables of what can be configured: the core's own, those of plugins, and arguments of commands.
// From them come parsing, error messages, help, the example file and the manual.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/value.hpp"

namespace fieldpost {

// The values of FP_OPT_TEXT …: do not change.
enum class OptionType : uint8_t {
  Text = 1,
  Integer = 2,
  Number = 3,
  Boolean = 4,
  Duration = 5,  // a Value in seconds
  Choice = 6,
  Attribute = 7,
  Command = 8,
  Size = 9,  // the core's tables only; a Value in bytes
};

struct OptionSpec {
  std::string name;
  OptionType type = OptionType::Text;
  bool required = false;
  std::string unit{};                     // of measure; empty if there is none
  std::optional<std::string> fallback{};  // as it would be written; none: absent unless given
  std::string help{};                     // one sentence
  std::vector<std::string> choices{};     // Choice only
  double min = 0, max = 0;                // inclusive, in the Value's unit; both 0: no limit
  bool exclusive = false;                 // no two instances may have the same value
  bool operator==(const OptionSpec&) const = default;
};

// What the value should look like: "a whole number from 1 to 247", "one of tcp, rtu".
std::string expected_form(const OptionSpec& spec);

// Checks a value of the right JSON or TOML kind: numbers as double, durations and sizes as the
// text they are written as. Returns it in the form that plugins get. Errors: Invalid; the message
// is `expected …, got …`.
Result<Value> check_option(const OptionSpec& spec, const Value& given);

// Parses text as given on a command line, or a fallback, by the option's type. Errors: Invalid.
Result<Value> parse_option(const OptionSpec& spec, std::string_view text);

}  // namespace fieldpost
