// SPDX-License-Identifier: Apache-2.0
#include "config/report_table.hpp"

#include <algorithm>
#include <utility>

#include "config/forms.hpp"
#include "config/into.hpp"
#include "config/options.hpp"
#include "model/names.hpp"

namespace fieldpost {
namespace {

using enum OptionType;

constexpr const char* kNumberOrNone = "a number, or \"none\"";
constexpr double kMost = 1e12;  // a deadband above is no deadband

struct AttributeRow : ReportKeys {
  std::string attribute;
};

// In the order of the values of ReportRule::When.
const std::vector<std::string>& words() {
  static const std::vector<std::string> all = {"always", "change", "change-or-period"};
  return all;
}

template <auto Member, ReportKeys::Key Key>
void put(void* object, const Value& value) {
  auto& keys = *static_cast<ReportKeys*>(object);
  keys.given |= Key;
  // "none" in place of a number: as where nothing is said.
  const bool none = std::holds_alternative<std::string>(value) && Key != ReportKeys::Unit;
  if (none) {
    keys.rule.*Member = ReportRule().*Member;
  } else {
    into<Member>(&keys.rule, value);
  }
}

void put_when(void* object, const Value& value) {
  auto& keys = *static_cast<ReportKeys*>(object);
  keys.given |= ReportKeys::When;
  keys.rule.when = static_cast<ReportRule::When>(
      std::ranges::find(words(), std::get<std::string>(value)) - words().begin());
}

// What a plugin that has a `scale` of its own does itself. Where it has none, an `offset` is
// something else, such as the number of a line.
constexpr std::pair<const char*, ReportKeys::Key> kScaling[] = {{"scale", ReportKeys::Scale},
                                                                {"offset", ReportKeys::Offset},
                                                                {"decimals", ReportKeys::Decimals}};

bool has(const std::vector<OptionSpec>& specs, std::string_view name) {
  return std::ranges::find(specs, name, &OptionSpec::name) != specs.end();
}

const std::vector<CoreOption>& attribute_options() {
  static const std::vector<CoreOption> options = [] {
    std::vector<CoreOption> all = report_options();
    all.insert(all.begin(), {.spec = {.name = "attribute",
                                      .required = true,
                                      .help = "Its name, as `fieldpost attributes` has it."},
                             .store = into<&AttributeRow::attribute>,
                             .check = forms::attribute_name,
                             .form = std::string(kAttributeNameForm)});
    return all;
  }();
  return options;
}

std::string name_in(const Node& row) {
  const Member* given = row.find("attribute");
  return given != nullptr && is_text(given->value) ? std::get<std::string>(given->value.value) : "";
}

// Whether the row is what makes the attribute of that name.
bool names(const Node& row, const std::vector<OptionSpec>& own, const std::string& name) {
  return std::ranges::any_of(own, [&](const OptionSpec& spec) {
    const Member* given = spec.type == Attribute ? row.find(spec.name) : nullptr;
    return given != nullptr && given->value.value == Value(name) && is_text(given->value);
  });
}

}  // namespace

const char* number_key(const Node& row, const std::vector<OptionSpec>& own) {
  for (const char* key :
       {"deadband", "deadband_percent", "valid_min", "valid_max", "scale", "offset", "decimals"}) {
    if (row.find(key) != nullptr && !has(own, key)) return key;
  }
  return nullptr;
}

std::string not_a_number(const AttributeSpec& spec) {
  return "'" + spec.name + "' is a " + std::string(name_of(spec.type)) + "; only a number has one";
}

std::vector<CoreOption> unit_report_options() {
  using Rule = ReportRule;
  using Keys = ReportKeys;
  return {
      {.spec = {.name = "report",
                .type = Choice,
                .help = "Which readings are kept and published. \"always\": all. \"change\": those "
                        "that differ from the last one. \"change-or-period\": these, and the same "
                        "value again after `report_period`. The first one and a change of quality "
                        "always count.",
                .choices = words()},
       .store = put_when},
      {.spec = {.name = "deadband",
                .type = Number,
                .help = "A number differs only if it is further than this from the last one that "
                        "was published, in its own unit.",
                .min = 0,
                .max = kMost},
       .store = put<&Rule::deadband, Keys::Deadband>},
      {.spec = {.name = "deadband_percent",
                .type = Number,
                .unit = "%",
                .help = "The same in percent of the last one that was published. Of both the "
                        "wider one counts.",
                .min = 0,
                .max = 1000},
       .store = put<&Rule::deadband_percent, Keys::DeadbandPercent>},
      {.spec = {.name = "report_period",
                .type = Duration,
                .help = "For \"change-or-period\": after that the same value is published again.",
                .min = 0.1,
                .max = 7 * kDay},
       .store = put<&Rule::period, Keys::Period>},
      {.spec = {.name = "valid_min",
                .type = Number,
                .help = "A number below is out of range: not published, and said in the status. "
                        "\"none\": there is no such limit, whatever is said above."},
       .store = put<&Rule::min, Keys::Min>,
       .form = kNumberOrNone,
       .example = "-40",
       .or_none = true},
      {.spec = {.name = "valid_max",
                .type = Number,
                .help = "A number above is out of range. \"none\": as for valid_min."},
       .store = put<&Rule::max, Keys::Max>,
       .form = kNumberOrNone,
       .example = "120",
       .or_none = true},
      {.spec = {.name = "expect_change_within",
                .type = Duration,
                .help = "A value that stays exactly the same for so long is stuck: not published "
                        "until it changes, and said in the status. \"0s\": it may.",
                .min = 0,
                .max = 365 * kDay},
       .store = put<&Rule::expect_change, Keys::ExpectChange>,
       .example = "6h"},
      {.spec = {.name = "stale_after",
                .type = Integer,
                .help = "A value that so many polls have not confirmed is stale: said in the "
                        "status, in `meta` and in the health attributes. 0: never.",
                .min = 0,
                .max = 1'000'000},
       .store = put<&Rule::stale_after, Keys::StaleAfter>,
       .example = "3"},
      {.spec = {.name = "decimals",
                .type = Integer,
                .help = "Digits after the point that are kept of a number, 0 to 9; \"none\", as "
                        "unless given: all.",
                .max = 9},
       .store = put<&Rule::decimals, Keys::Decimals>,
       .form = "a whole number from 0 to 9, or \"none\"",
       .example = "2",
       .or_none = true}};
}

std::vector<CoreOption> report_options() {
  std::vector<CoreOption> options = unit_report_options();
  options.push_back({.spec = {.name = "scale",
                              .type = Number,
                              .help = "A number is multiplied by this before all else. A "
                                      "negative one turns it round."},
                     .store = put<&ReportRule::scale, ReportKeys::Scale>,
                     .check = forms::scale,
                     .form = forms::kScale,
                     .example = "0.1"});
  options.push_back({.spec = {.name = "offset",
                              .type = Number,
                              .help = "Added to a number after `scale`, in the unit that it then "
                                      "has."},
                     .store = put<&ReportRule::offset, ReportKeys::Offset>,
                     .example = "-273.15"});
  options.push_back({.spec = {.name = "unit",
                              .help = "Of measure, for people: \"degC\". Unless given: as the "
                                      "plugin says, and none with a `scale`."},
                     .store = put<&ReportRule::unit, ReportKeys::Unit>,
                     .example = "degC"});
  return options;
}

std::vector<CoreOption> report_defaults() {
  std::vector<CoreOption> options = unit_report_options();
  for (CoreOption& option : options) {
    if (option.spec.name == "report") option.spec.fallback = "always";
    if (option.spec.name == "deadband") option.spec.fallback = "0";
    if (option.spec.name == "deadband_percent") option.spec.fallback = "0";
    if (option.spec.name == "report_period") option.spec.fallback = "60s";
    if (option.spec.name == "stale_after") option.spec.fallback = "3";
  }
  return options;
}

ReportRule with_own(ReportRule above, const Node& row, const std::vector<OptionSpec>& own) {
  if (has(own, "decimals") && row.find("decimals") != nullptr) {
    above.decimals = ReportRule::kAllDigits;
  }
  above.plugins_own = 0;
  if (!has(own, "scale")) return above;
  for (const auto& [name, key] : kScaling) {
    if (has(own, name)) above.plugins_own |= key;
  }
  return above;
}

Node with_named_keys(const Node& row, const Node& plugin, const std::vector<OptionSpec>& own) {
  const Member* named = plugin.find(kAttributeTable);
  if (named == nullptr || named->value.kind != Node::Kind::Rows || !has(own, "scale")) return row;
  Node changed = row;
  for (const Node& item : named->value.items) {
    if (!names(row, own, name_in(item))) continue;
    for (const auto& [name, key] : kScaling) {
      const Member* given = item.find(name);
      if (given == nullptr || !has(own, name)) continue;
      if (Member* before = changed.find(name)) {
        *before = *given;
      } else {
        changed.members.push_back(*given);
      }
    }
  }
  return changed;
}

void check_report(const Node& row, const ReportRule& rule, const std::string& path,
                  Problems& problems) {
  if (rule.min <= rule.max) return;
  const char* key = row.find("valid_max") != nullptr ? "valid_max" : "valid_min";
  if (row.find(key) == nullptr) return;  // said where it stands
  problems.error(value_at(row, key),
                 join(path, key) + ": valid_min is above valid_max, which leaves no value");
}

std::vector<NamedReportKeys> read_attributes(const Node& plugin, Problems& problems) {
  std::vector<NamedReportKeys> named;
  const Member* rows = plugin.find(kAttributeTable);
  const std::string path = join("plugin", kAttributeTable);
  if (rows == nullptr || !expect_rows(rows->value, rows->at, path, problems)) return named;
  for (const Node& row : rows->value.items) {
    refuse_unknown(row, path, names_of(attribute_options()), problems);
    AttributeRow keys;
    read_options(row, attribute_options(), &keys, path, false, problems);
    if (std::ranges::find(named, keys.attribute, &NamedReportKeys::attribute) != named.end()) {
      problems.error(value_at(row, "attribute"),
                     path + ".attribute: '" + keys.attribute + "' has a row already");
    }
    named.push_back({keys.attribute, static_cast<const ReportKeys&>(keys)});
  }
  return named;
}

void check_attributes(const Node& plugin, const Declaration& declaration,
                      const InstanceConfig& config, Problems& problems) {
  const Member* rows = plugin.find(kAttributeTable);
  if (rows == nullptr) return;
  std::vector<std::string_view> names;
  for (const auto& attribute : declaration.attributes) names.push_back(attribute.spec.name);
  const std::string path = join("plugin", kAttributeTable);
  for (const Node& row : rows->value.items) {
    const std::string name = name_in(row);
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
      if (!name.empty()) {
        problems.error(value_at(row, "attribute"), path + ".attribute: the instance has no '" +
                                                       name + "'" + did_you_mean(name, names));
      }
      continue;
    }
    const auto& attribute = declaration.attributes[static_cast<size_t>(found - names.begin())];
    const auto& spec = attribute.spec;
    check_report(row, report_rule(attribute, config), path, problems);
    if (spec.type == DataType::Number) continue;
    if (const char* key = number_key(row, {})) {
      problems.error(value_at(row, key), join(path, key) + ": " + not_a_number(spec));
    }
  }
}

}  // namespace fieldpost
