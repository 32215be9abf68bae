// SPDX-License-Identifier: Apache-2.0
#include "commands/arguments.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace fieldpost {
namespace {

using Arguments = std::vector<std::optional<Value>>;

std::string shown(const Json& json) { return printable(dump_json(json), 80); }

Result<Value> to_value(const OptionSpec& spec, const Json& given) {
  Result<Value> checked =
      Error{Errc::Invalid, "expected " + expected_form(spec) + ", got " + shown(given)};
  if (given.is_boolean()) checked = check_option(spec, given.get<bool>());
  if (given.is_number()) checked = check_option(spec, given.get<double>());
  if (given.is_string()) checked = check_option(spec, given.get<std::string>());
  return std::move(checked).context("argument '" + spec.name + "'");
}

Result<Json> named(const CommandSpec& spec, const Json* payload) {
  if (payload == nullptr || payload->is_null()) return Json::object();
  if (payload->is_object()) return *payload;
  const OptionSpec* const only = only_argument(spec);
  if (only == nullptr) {
    return Error{Errc::Invalid, "expected an object with the arguments, got " + shown(*payload)};
  }
  return Json{{only->name, *payload}};
}

Result<> refuse_unknown(const CommandSpec& spec, const Json& given) {
  std::vector<std::string_view> names;
  for (const OptionSpec& arg : spec.args) names.push_back(arg.name);
  for (const auto& [key, value] : given.items()) {
    if (std::ranges::find(names, key) != names.end()) continue;
    const std::string_view near = nearest(key, names);
    return Error{Errc::Invalid,
                 "unknown argument '" + printable(key, 80) + "'" +
                     (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?")};
  }
  return {};
}

}  // namespace

std::string first_token(const std::string& pointer) {
  auto left = Json::json_pointer(pointer);
  std::string token;
  for (; !left.empty(); left.pop_back()) token = left.back();
  return token;
}

Result<Arguments> check_arguments(const CommandSpec& spec, const Json* payload,
                                  const std::string& id_pointer) {
  Json arguments = FP_TRY(named(spec, payload));
  const std::string id = first_token(id_pointer);
  if (std::ranges::find(spec.args, id, &OptionSpec::name) == spec.args.end()) {
    arguments.erase(id);
  }
  FP_CHECK_OK(refuse_unknown(spec, arguments));
  Arguments checked;
  for (const OptionSpec& arg : spec.args) {
    if (const auto it = arguments.find(arg.name); it != arguments.end()) {
      checked.emplace_back(FP_TRY(to_value(arg, *it)));
    } else if (arg.required) {
      return Error{Errc::Invalid,
                   "argument '" + arg.name + "' is missing: expected " + expected_form(arg)};
    } else if (arg.fallback) {
      checked.emplace_back(FP_TRY(parse_option(arg, *arg.fallback)));
    } else {
      checked.emplace_back(std::nullopt);
    }
  }
  return checked;
}

}  // namespace fieldpost
