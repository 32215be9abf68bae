// SPDX-License-Identifier: Apache-2.0
#include "config/report_table.hpp"

#include <algorithm>

#include "config/forms.hpp"
#include "config/into.hpp"
#include "config/options.hpp"
#include "model/names.hpp"

namespace fieldpost {
namespace {

using enum OptionType;

constexpr double kMost = 1e12;  // a deadband above is no deadband

struct AttributeRow : ReportKeys {
  std::string attribute;
};

// In the order of the values of ReportRule::When.
const std::vector<std::string>& words() {
  static const std::vector<std::string> all = {"always", "change", "change-or-period"};
  return all;
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

}  // namespace

const char* number_key(const Node& row) {
  for (const char* key : {"deadband", "deadband_percent", "valid_min", "valid_max"}) {
    if (row.find(key) != nullptr) return key;
  }
  return nullptr;
}

std::string not_a_number(const AttributeSpec& spec) {
  return "'" + spec.name + "' is a " + std::string(name_of(spec.type)) + "; only a number has one";
}

std::vector<CoreOption> report_options() {
  return {
      {.spec = {.name = "report",
                .type = Choice,
                .help = "Which readings are kept and published. \"always\": all. \"change\": those "
                        "that differ from the last one. \"change-or-period\": these, and the same "
                        "value again after `report_period`. The first one and a change of quality "
                        "always count.",
                .choices = words()},
       .store = into<&ReportKeys::report>},
      {.spec = {.name = "deadband",
                .type = Number,
                .help = "A number differs only if it is further than this from the last one that "
                        "was published, in its own unit.",
                .min = 0,
                .max = kMost},
       .store = into<&ReportKeys::deadband>},
      {.spec = {.name = "deadband_percent",
                .type = Number,
                .unit = "%",
                .help = "The same in percent of the last one that was published. Of both the "
                        "wider one counts.",
                .min = 0,
                .max = 1000},
       .store = into<&ReportKeys::deadband_percent>},
      {.spec = {.name = "report_period",
                .type = Duration,
                .help = "For \"change-or-period\": after that the same value is published again.",
                .min = 0.1,
                .max = 7 * kDay},
       .store = into<&ReportKeys::period>},
      {.spec = {.name = "valid_min",
                .type = Number,
                .help = "A number below is out of range: not published, and said in the status."},
       .store = into<&ReportKeys::valid_min>,
       .example = "-40"},
      {.spec = {.name = "valid_max", .type = Number, .help = "A number above is out of range."},
       .store = into<&ReportKeys::valid_max>,
       .example = "120"},
      {.spec = {.name = "expect_change_within",
                .type = Duration,
                .help = "A value that stays exactly the same for so long is stuck: not published "
                        "until it changes, and said in the status. \"0s\": it may.",
                .min = 0,
                .max = 365 * kDay},
       .store = into<&ReportKeys::expect_change>,
       .example = "6h"}};
}

std::vector<CoreOption> report_defaults() {
  std::vector<CoreOption> options = report_options();
  for (CoreOption& option : options) {
    if (option.spec.name == "report") option.spec.fallback = "always";
    if (option.spec.name == "deadband") option.spec.fallback = "0";
    if (option.spec.name == "deadband_percent") option.spec.fallback = "0";
    if (option.spec.name == "report_period") option.spec.fallback = "60s";
  }
  return options;
}

ReportRule refined(ReportRule above, const ReportKeys& keys) {
  if (keys.report) {
    above.when =
        static_cast<ReportRule::When>(std::ranges::find(words(), *keys.report) - words().begin());
  }
  above.deadband = keys.deadband.value_or(above.deadband);
  above.deadband_percent = keys.deadband_percent.value_or(above.deadband_percent);
  above.period = keys.period.value_or(above.period);
  above.has_min = above.has_min || keys.valid_min.has_value();
  above.min = keys.valid_min.value_or(above.min);
  above.has_max = above.has_max || keys.valid_max.has_value();
  above.max = keys.valid_max.value_or(above.max);
  above.expect_change = keys.expect_change.value_or(above.expect_change);
  return above;
}

void check_report(const Node& row, const ReportRule& rule, const std::string& path,
                  Problems& problems) {
  if (!rule.has_min || !rule.has_max || rule.min <= rule.max) return;
  const char* key = row.find("valid_max") != nullptr ? "valid_max" : "valid_min";
  if (row.find(key) == nullptr) return;  // said where it stands
  problems.error(value_at(row, key),
                 join(path, key) + ": valid_min is above valid_max, which leaves no value");
}

std::vector<NamedReportRule> read_attributes(const Node& plugin, const ReportRule& above,
                                             Problems& problems) {
  std::vector<NamedReportRule> named;
  const Member* rows = plugin.find(kAttributeTable);
  const std::string path = join("plugin", kAttributeTable);
  if (rows == nullptr || !expect_rows(rows->value, rows->at, path, problems)) return named;
  for (const Node& row : rows->value.items) {
    refuse_unknown(row, path, names_of(attribute_options()), problems);
    AttributeRow keys;
    read_options(row, attribute_options(), &keys, path, false, problems);
    if (std::ranges::find(named, keys.attribute, &NamedReportRule::attribute) != named.end()) {
      problems.error(value_at(row, "attribute"),
                     path + ".attribute: '" + keys.attribute + "' has a row already");
    }
    named.push_back({keys.attribute, refined(above, keys)});
    check_report(row, named.back().rule, path, problems);
  }
  return named;
}

void check_attributes(const Node& plugin, const Declaration& declaration, Problems& problems) {
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
    const auto& spec = declaration.attributes[static_cast<size_t>(found - names.begin())].spec;
    if (spec.type == DataType::Number) continue;
    if (const char* key = number_key(row)) {
      problems.error(value_at(row, key), join(path, key) + ": " + not_a_number(spec));
    }
  }
}

}  // namespace fieldpost
