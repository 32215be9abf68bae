// SPDX-License-Identifier: Apache-2.0
#include "model/option.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "model/names.hpp"

namespace fieldpost {
namespace {

std::string format_limit(const OptionSpec& spec, double limit) {
  switch (spec.type) {
    case OptionType::Duration:
      return format_duration(std::chrono::nanoseconds(std::llround(limit * 1e9)));
    case OptionType::Size:
      return format_size(static_cast<int64_t>(limit));
    default:
      return format_number(limit) + (spec.unit.empty() ? "" : " " + spec.unit);
  }
}

std::string range(const OptionSpec& spec) {
  if (spec.min == 0 && spec.max == 0) return "";
  return " from " + format_limit(spec, spec.min) + " to " + format_limit(spec, spec.max);
}

bool in_range(const OptionSpec& spec, double value) {
  return (spec.min == 0 && spec.max == 0) || (value >= spec.min && value <= spec.max);
}

Error mismatch(const OptionSpec& spec, const Value& given) {
  return {Errc::Invalid,
          "expected " + expected_form(spec) + ", got " + printable(to_text(given), 80)};
}

// The Value in seconds or bytes that a text stands for; none if it is malformed.
std::optional<double> measured(OptionType type, const std::string& text) {
  if (type == OptionType::Duration) {
    const auto duration = parse_duration(text);
    return duration ? std::optional(static_cast<double>(duration->count()) / 1e9) : std::nullopt;
  }
  const auto size = parse_size(text);
  return size ? std::optional(static_cast<double>(*size)) : std::nullopt;
}

bool text_fits(const OptionSpec& spec, const std::string& text) {
  switch (spec.type) {
    case OptionType::Choice:
      return std::ranges::find(spec.choices, text) != spec.choices.end();
    case OptionType::Attribute:
      return is_attribute_name(text);
    case OptionType::Command:
      return is_command_name(text);
    default:
      return is_legal(text);
  }
}

}  // namespace

std::string expected_form(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::Text:
      return "text";
    case OptionType::Integer:
      return "a whole number" + range(spec);
    case OptionType::Number:
      return "a number" + range(spec);
    case OptionType::Boolean:
      return "true or false";
    case OptionType::Duration:
      return "a duration such as \"5s\"" + range(spec);
    case OptionType::Size:
      return "a size such as \"512MB\"" + range(spec);
    case OptionType::Choice: {
      std::string all;
      for (const std::string& c : spec.choices) all += (all.empty() ? "\"" : ", \"") + c + "\"";
      return "one of " + all;
    }
    case OptionType::Attribute:
      return "an attribute name (" + std::string(kAttributeNameForm) + ")";
    case OptionType::Command:
      return "a command name (1 to 255 bytes)";
  }
  return "a value";
}

Result<Value> check_option(const OptionSpec& spec, const Value& given) {
  const auto* number = std::get_if<double>(&given);
  const auto* text = std::get_if<std::string>(&given);
  switch (spec.type) {
    case OptionType::Boolean:
      if (std::holds_alternative<bool>(given)) return given;
      break;
    case OptionType::Integer:
    case OptionType::Number:
      if (number != nullptr && std::isfinite(*number) && in_range(spec, *number) &&
          (spec.type == OptionType::Number || *number == std::floor(*number))) {
        return given;
      }
      break;
    case OptionType::Duration:
    case OptionType::Size:
      if (text != nullptr) {
        const auto value = measured(spec.type, *text);
        if (value && in_range(spec, *value)) return Value(*value);
      }
      break;
    default:
      if (text != nullptr && text_fits(spec, *text)) return given;
  }
  return mismatch(spec, given);
}

Result<Value> parse_option(const OptionSpec& spec, std::string_view text) {
  if (spec.type == OptionType::Integer || spec.type == OptionType::Number) {
    if (const auto number = parse_number(text)) return check_option(spec, *number);
  }
  if (spec.type == OptionType::Boolean && (text == "true" || text == "false")) {
    return Value(text == "true");
  }
  return check_option(spec, std::string(text));
}

}  // namespace fieldpost
