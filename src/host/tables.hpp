// SPDX-License-Identifier: Apache-2.0
//
// From the tables of the plugin ABI to our own nouns. A plugin is not trusted: every count, length
// and name is checked, rows are read by the size they state, and the errors are meant for the
// author of the plugin.
#pragma once

#include <fieldpost/plugin.h>

#include <optional>
#include <string>

#include "base/result.hpp"
#include "model/plugin_info.hpp"

namespace fieldpost {

// What one plugin may have at most.
inline constexpr size_t kMaxOptions = 256;  // in one table
inline constexpr size_t kMaxTables = 32;
inline constexpr size_t kMaxStaticAttributes = 1'024;
inline constexpr size_t kMaxStaticCommands = 256;
inline constexpr size_t kMaxArguments = 16;
inline constexpr size_t kMaxSentence = 1'000;  // bytes of a summary or a help text

// The whole descriptor, whose ABI has been checked. Errors: Invalid.
Result<PluginInfo> to_plugin_info(const fp_plugin& plugin);

// A row as declare_attribute and declare_command get it: its name must be a real one. `row` may be
// null. Errors: Invalid.
Result<AttributeSpec> to_attribute_spec(const fp_attribute* row);
Result<CommandSpec> to_command_spec(const fp_command* row);

// A value that a plugin hands over. Errors: Invalid, with what is wrong with it; `ret` is as it
// was.
Result<> read_value(const fp_value& value, Value& ret);
// The other way; borrows the text.
fp_value to_c(const Value& value);

// The kind of Value in which an option of this type arrives at a plugin.
DataType type_of_option(OptionType type);

}  // namespace fieldpost
