// SPDX-License-Identifier: Apache-2.0
//
// What the host makes of readings and which of them leave: what [[plugin]], its units, its rows and
// [[plugin.attribute]] may say, each before those above it. A key that a plugin has in its own
// table is the plugin's there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/node.hpp"
#include "config/problems.hpp"
#include "config/tables.hpp"
#include "model/report_rule.hpp"

namespace fieldpost {

// Of [[plugin]], with their fallbacks; of units, without; and of rows and [[plugin.attribute]],
// where one value is meant, which may be scaled.
std::vector<CoreOption> report_defaults();
std::vector<CoreOption> unit_report_options();
std::vector<CoreOption> report_options();

// The rule that holds above a row, in the row of a table with these options: what the plugin does
// itself the host is not to do as well.
ReportRule with_own(ReportRule above, const Node& row, const std::vector<OptionSpec>& own);
// The row with what [[plugin.attribute]] of `plugin` says of it and the plugin does itself.
Node with_named_keys(const Node& row, const Node& plugin, const std::vector<OptionSpec>& own);

// Reports limits that leave no value.
void check_report(const Node& row, const ReportRule& rule, const std::string& path,
                  Problems& problems);

// The first key of a row that only a number's attribute may have; nullptr: none. `own` are the
// plugin's keys there. And what is said where it has another.
const char* number_key(const Node& row, const std::vector<OptionSpec>& own);
std::string not_a_number(const AttributeSpec& spec);

inline constexpr const char* kAttributeTable = "attribute";  // [[plugin.attribute]]
// The rows of that table, by the attribute they name.
std::vector<NamedReportKeys> read_attributes(const Node& plugin, Problems& problems);
// Reports rows for attributes that the instance does not have, limits that leave no value, and what
// only a number has where there is none.
void check_attributes(const Node& plugin, const Declaration& declaration,
                      const InstanceConfig& config, Problems& problems);

}  // namespace fieldpost
