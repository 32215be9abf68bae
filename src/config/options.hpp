// SPDX-License-Identifier: Apache-2.0
//
// From a node and an option table to checked values, or to a message that says what was expected.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/node.hpp"
#include "config/problems.hpp"
#include "config/tables.hpp"

namespace fieldpost {

// The value in the form that plugins get; nothing if it is wrong, which has then been reported.
// `path` is what messages call it: "plugin.register.address".
std::optional<Value> check_value(const OptionSpec& spec, const Node& node, const std::string& path,
                                 Problems& problems);

// Stores what `table` gives of the options, and the fallbacks of the others, into `object`. A
// required one that is missing is reported unless it may stand in a file that cannot be read.
void read_options(const Node& table, std::span<const CoreOption> options, void* object,
                  const std::string& path, bool may_be_elsewhere, Problems& problems);

// The keys of these options.
std::vector<std::string_view> names_of(std::span<const CoreOption> options);

// Reports every key of `table` that is not among `known`.
void refuse_unknown(const Node& table, const std::string& path,
                    std::span<const std::string_view> known, Problems& problems);

// Whether `node` is what [[path]] makes; reported if not.
bool expect_rows(const Node& node, const Location& at, const std::string& path, Problems& problems);
// The same of [path].
bool expect_table(const Node& node, const Location& at, const std::string& path,
                  Problems& problems);

// Rows of a top-level [[section]].
const std::vector<Node>& rows_of(const Node& root, std::string_view section);
// Where the row's value of this key is; the row itself if it has none.
Location value_at(const Node& row, std::string_view key);

bool is_text(const Node& node);
std::string join(const std::string& path, const std::string& key);

}  // namespace fieldpost
