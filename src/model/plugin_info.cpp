// SPDX-License-Identifier: Apache-2.0
#include "model/plugin_info.hpp"

#include <algorithm>
#include <utility>

namespace fieldpost {

const OptionSpec* only_argument(const CommandSpec& spec) {
  if (spec.args.size() == 1) return &spec.args.front();
  if (std::ranges::count(spec.args, true, &OptionSpec::required) != 1) return nullptr;
  return &*std::ranges::find(spec.args, true, &OptionSpec::required);
}

ReportRule report_rule(const Declaration::Attribute& attribute, const InstanceConfig& config) {
  const uint32_t section =
      attribute.section != 0 ? attribute.section : config.units[attribute.unit];
  ReportRule rule = section < config.reports.size() ? config.reports[section] : ReportRule();
  const auto named =
      std::ranges::find(config.named_reports, attribute.spec.name, &NamedReportKeys::attribute);
  return named == config.named_reports.end() ? rule : refined(std::move(rule), named->keys);
}

std::string unit_of_measure(const AttributeSpec& spec, const ReportRule& rule) {
  if (rule.unit) return *rule.unit;
  return rule.scale == 1 ? spec.unit : "";
}

}  // namespace fieldpost
