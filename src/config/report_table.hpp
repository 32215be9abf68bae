// SPDX-License-Identifier: Apache-2.0
//
// Which readings leave an instance: what [[plugin]], its units, its rows and [[plugin.attribute]]
// may say, each before those above it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/node.hpp"
#include "config/problems.hpp"
#include "config/tables.hpp"
#include "model/report_rule.hpp"

namespace fieldpost {

// Of [[plugin]], with their fallbacks; and of everything below it, without.
std::vector<CoreOption> report_defaults();
std::vector<CoreOption> report_options();

// What `keys` change of the rule that holds above them.
ReportRule refined(ReportRule above, const ReportKeys& keys);
// Reports limits that leave no value.
void check_report(const Node& row, const ReportRule& rule, const std::string& path,
                  Problems& problems);

// The first key of a row that only a number's attribute may have; nullptr: none. And what is said
// where it has another.
const char* number_key(const Node& row);
std::string not_a_number(const AttributeSpec& spec);

inline constexpr const char* kAttributeTable = "attribute";  // [[plugin.attribute]]
// The rows of that table, by the attribute they name; each refines `above`.
std::vector<NamedReportRule> read_attributes(const Node& plugin, const ReportRule& above,
                                             Problems& problems);
// Reports rows for attributes that the instance does not have, and a deadband or limits of what is
// no number.
void check_attributes(const Node& plugin, const Declaration& declaration, Problems& problems);

}  // namespace fieldpost
