// SPDX-License-Identifier: Apache-2.0
#include "host/tables.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "model/names.hpp"

namespace fieldpost {
namespace {

constexpr uint32_t kMaxRowSize = 1'024;  // what a row may have grown to in a distant future

Error invalid(std::string message) { return {Errc::Invalid, std::move(message)}; }

// Terminated text of at most `limit` bytes, without control characters.
Result<std::string> text_of(const char* text, const std::string& what, size_t limit) {
  if (text == nullptr) return invalid(what + " is NULL");
  const std::string_view view(text, ::strnlen(text, limit + 1));
  if (view.size() > limit) return invalid(what + " is longer than " + std::to_string(limit));
  if (!is_utf8(view)) return invalid(what + " is not UTF-8: " + printable(view, 80));
  const bool control = std::ranges::any_of(
      view, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (control) return invalid(what + " has control characters: " + printable(view, 80));
  return std::string(view);
}

// The same, but absent is as good as empty: authors in C leave out what they do not need.
Result<std::string> optional_text(const char* text, const std::string& what, size_t limit) {
  if (text == nullptr) return std::string();
  return text_of(text, what, limit);
}

// Copies one row of a struct that starts with its `size`, as far as both sides know it.
template <class Row>
Result<Row> copy_row(const void* address, const std::string& what) {
  uint32_t size = 0;
  std::memcpy(&size, address, sizeof size);
  if (size < sizeof(Row) || size > kMaxRowSize) {
    return invalid(what + " says it is " + std::to_string(size) + " bytes long; expected " +
                   std::to_string(sizeof(Row)));
  }
  Row row{};
  std::memcpy(&row, address, sizeof row);
  return row;
}

// Copies a table whose rows are as far apart as the first one is long.
template <class Row>
Result<std::vector<Row>> copy_rows(const Row* table, size_t n, size_t limit,
                                   const std::string& what) {
  if (n > limit) {
    return invalid(what + ": " + std::to_string(n) + " rows, at most " + std::to_string(limit));
  }
  if (n > 0 && table == nullptr) return invalid(what + " is NULL but has rows");
  std::vector<Row> rows;
  size_t stride = 0;
  for (size_t i = 0; i < n; ++i) {
    const std::string name = what + "[" + std::to_string(i) + "]";
    const char* const address = reinterpret_cast<const char*>(table) + i * stride;
    rows.push_back(FP_TRY(copy_row<Row>(address, name)));
    if (i > 0 && rows.back().size != stride) return invalid(name + " differs in size from [0]");
    stride = rows.front().size;
  }
  return rows;
}

bool is_option_name(std::string_view name) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && name.size() <= 64 && lower(name.front()) &&
         std::ranges::all_of(
             name, [&](char c) { return lower(c) || (c >= '0' && c <= '9') || c == '_'; });
}

Result<std::string> option_name(const char* name, const std::string& what) {
  std::string text = FP_TRY(text_of(name, what + ": name", 64));
  if (!is_option_name(text)) {
    return invalid(what + ": name '" + text + "': expected a-z, then a-z, 0-9 and _");
  }
  return text;
}

// "<attribute>": stands in a table for a name that a row of the configuration chooses.
bool is_placeholder(std::string_view name) {
  return name.size() > 2 && name.front() == '<' && name.back() == '>';
}

Result<std::vector<std::string>> choices_of(const char* raw, const std::string& what) {
  const std::string text = FP_TRY(text_of(raw, what + ": choices", kMaxSentence));
  std::vector<std::string> choices;
  for (size_t from = 0; from <= text.size();) {
    const size_t to = std::min(text.find('|', from), text.size());
    choices.push_back(text.substr(from, to - from));
    if (choices.back().empty()) return invalid(what + ": choices '" + text + "': one is empty");
    from = to + 1;
  }
  return choices;
}

Result<OptionSpec> to_option_spec(const fp_option& row, const std::string& table) {
  OptionSpec spec;
  spec.name = FP_TRY(option_name(row.name, table));
  const std::string what = table + " '" + spec.name + "'";
  if (row.type < FP_OPT_TEXT || row.type > FP_OPT_COMMAND) {
    return invalid(what + ": unknown type " + std::to_string(row.type));
  }
  spec.type = static_cast<OptionType>(row.type);
  if ((row.flags & ~(FP_OPT_REQUIRED | FP_OPT_EXCLUSIVE)) != 0) {
    return invalid(what + ": unknown flags " + std::to_string(row.flags));
  }
  spec.required = (row.flags & FP_OPT_REQUIRED) != 0;
  spec.exclusive = (row.flags & FP_OPT_EXCLUSIVE) != 0;
  spec.unit = FP_TRY(optional_text(row.unit, what + ": unit", 64));
  spec.help = FP_TRY(optional_text(row.help, what + ": help", kMaxSentence));
  if (!std::isfinite(row.min) || !std::isfinite(row.max) || row.min > row.max) {
    return invalid(what + ": its limits make no range");
  }
  spec.min = row.min;
  spec.max = row.max;
  if (spec.type == OptionType::Choice) spec.choices = FP_TRY(choices_of(row.choices, what));
  if (row.fallback != nullptr) {
    spec.fallback = FP_TRY(text_of(row.fallback, what + ": fallback", kMaxSentence));
    if (const auto fits = parse_option(spec, *spec.fallback); !fits) {
      return invalid(what + ": its own fallback does not fit: " + fits.error().message);
    }
  }
  return spec;
}

Result<std::vector<OptionSpec>> to_option_specs(const fp_option* table, size_t n, size_t limit,
                                                const std::string& what) {
  std::vector<OptionSpec> specs;
  std::set<std::string> names;
  for (const fp_option& row : FP_TRY(copy_rows(table, n, limit, what))) {
    specs.push_back(FP_TRY(to_option_spec(row, what)));
    if (!names.insert(specs.back().name).second) {
      return invalid(what + " '" + specs.back().name + "' is there twice");
    }
  }
  return specs;
}

Result<std::vector<TableSpec>> to_table_specs(const fp_plugin& plugin) {
  std::vector<TableSpec> specs;
  std::set<std::string> names;
  bool units = false;
  const auto rows = FP_TRY(copy_rows(plugin.tables, plugin.n_tables, kMaxTables, "table"));
  for (const fp_table& row : rows) {
    TableSpec& spec = specs.emplace_back();
    spec.name = FP_TRY(option_name(row.name, "table"));
    const std::string what = "table '" + spec.name + "'";
    if (!names.insert(spec.name).second) return invalid(what + " is there twice");
    if ((row.flags & ~FP_TABLE_UNITS) != 0) return invalid(what + ": unknown flags");
    spec.units = (row.flags & FP_TABLE_UNITS) != 0;
    if (spec.units && std::exchange(units, true)) return invalid("two tables of units");
    spec.help = FP_TRY(optional_text(row.help, what + ": help", kMaxSentence));
    spec.options =
        FP_TRY(to_option_specs(row.options, row.n_options, kMaxOptions, what + ": option"));
  }
  return specs;
}

enum class Names : uint8_t { Real, OrPlaceholders };

Result<AttributeSpec> convert(const fp_attribute& row, Names names) {
  AttributeSpec spec;
  spec.name = FP_TRY(text_of(row.name, "attribute: name", 255));
  const std::string what = "attribute '" + spec.name + "'";
  if (!is_attribute_name(spec.name) && (names == Names::Real || !is_placeholder(spec.name))) {
    return invalid(what + ": expected " + std::string(kAttributeNameForm));
  }
  if (row.type < FP_NUMBER || row.type > FP_STRING) {
    return invalid(what + ": unknown type " + std::to_string(row.type));
  }
  spec.type = static_cast<DataType>(row.type);
  spec.unit = FP_TRY(optional_text(row.unit, what + ": unit", 64));
  spec.help = FP_TRY(optional_text(row.help, what + ": help", kMaxSentence));
  return spec;
}

Result<CommandSpec> convert(const fp_command& row, Names names) {
  CommandSpec spec;
  spec.name = FP_TRY(text_of(row.name, "command: name", 255));
  const std::string what = "command '" + spec.name + "'";
  if (!is_command_name(spec.name)) return invalid(what + ": expected 1 to 255 bytes");
  if (names == Names::Real && is_placeholder(spec.name)) return invalid(what + " is a placeholder");
  if ((row.flags & ~FP_COMMAND_IDEMPOTENT) != 0) return invalid(what + ": unknown flags");
  spec.idempotent = (row.flags & FP_COMMAND_IDEMPOTENT) != 0;
  spec.help = FP_TRY(optional_text(row.help, what + ": help", kMaxSentence));
  spec.args = FP_TRY(to_option_specs(row.args, row.n_args, kMaxArguments, what + ": argument"));
  spec.output = FP_TRY(optional_text(row.output, what + ": output", 255));
  spec.readback = FP_TRY(optional_text(row.readback, what + ": readback", 255));
  if (!spec.readback.empty() && !is_attribute_name(spec.readback) &&
      (names == Names::Real || !is_placeholder(spec.readback))) {
    return invalid(what + ": its readback '" + spec.readback + "' is no attribute name");
  }
  return spec;
}

// What is declared for every unit when the plugin does not declare for itself, and shown in help.
template <class Spec, class Row>
Result<std::vector<Spec>> to_static_specs(const Row* table, size_t n, size_t limit, Names names,
                                          const std::string& what) {
  std::vector<Spec> specs;
  std::set<std::string> known;
  for (const Row& row : FP_TRY(copy_rows(table, n, limit, what))) {
    specs.push_back(FP_TRY(convert(row, names)));
    const std::string& name = specs.back().name;
    if (!known.insert(name).second && !is_placeholder(name)) {
      return invalid(what + " '" + name + "' is there twice");
    }
  }
  return specs;
}

Result<> check_calls(const fp_plugin& plugin) {
  if (plugin.open == nullptr) return invalid("it has no open()");
  if (plugin.close == nullptr) return invalid("it has no close()");
  if ((plugin.event_fd == nullptr) != (plugin.on_event == nullptr)) {
    return invalid("event_fd() and on_event() go together");
  }
  static_assert(FP_NEEDS_DEVICES == kNeedsDevices && FP_NEEDS_NETWORK == kNeedsNetwork &&
                FP_NEEDS_EXEC == kNeedsExec);
  constexpr uint32_t kKnownNeeds = kNeedsDevices | kNeedsNetwork | kNeedsExec;
  if ((plugin.needs & ~kKnownNeeds) != 0) return invalid("it has needs that are not known");
  return {};
}

}  // namespace

Result<PluginInfo> to_plugin_info(const fp_plugin& plugin) {
  FP_CHECK_OK(check_calls(plugin));
  PluginInfo info;
  info.abi_major = plugin.abi_major;
  info.abi_minor = plugin.abi_minor;
  info.needs = plugin.needs;
  info.type = FP_TRY(text_of(plugin.type, "type", 64));
  if (!is_local_name(info.type)) {
    return invalid("type '" + info.type + "': expected " + std::string(kLocalNameForm));
  }
  info.version = FP_TRY(text_of(plugin.version, "version", 64));
  info.summary = FP_TRY(text_of(plugin.summary, "summary", kMaxSentence));
  info.options = FP_TRY(to_option_specs(plugin.options, plugin.n_options, kMaxOptions, "option"));
  info.tables = FP_TRY(to_table_specs(plugin));
  const Names names = plugin.declare == nullptr ? Names::Real : Names::OrPlaceholders;
  info.attributes = FP_TRY(to_static_specs<AttributeSpec>(
      plugin.attributes, plugin.n_attributes, kMaxStaticAttributes, names, "attribute"));
  info.commands = FP_TRY(to_static_specs<CommandSpec>(plugin.commands, plugin.n_commands,
                                                      kMaxStaticCommands, names, "command"));
  return info;
}

Result<AttributeSpec> to_attribute_spec(const fp_attribute* row) {
  if (row == nullptr) return invalid("attribute: NULL");
  return convert(FP_TRY(copy_row<fp_attribute>(row, "attribute")), Names::Real);
}

Result<CommandSpec> to_command_spec(const fp_command* row) {
  if (row == nullptr) return invalid("command: NULL");
  return convert(FP_TRY(copy_row<fp_command>(row, "command")), Names::Real);
}

Result<> read_value(const fp_value& value, Value& ret) {
  switch (value.type) {
    case FP_NUMBER:
      if (!std::isfinite(value.number)) return invalid("a number that is not finite");
      ret = value.number;
      return {};
    case FP_BOOLEAN:
      if (value.boolean > 1) return invalid("a boolean that is neither 0 nor 1");
      ret = value.boolean == 1;
      return {};
    case FP_STRING: {
      if (value.text.len > kMaxText) {
        return invalid("text of " + std::to_string(value.text.len) + " bytes; at most " +
                       std::to_string(kMaxText) + " are allowed");
      }
      if (value.text.data == nullptr) {
        if (value.text.len > 0) return invalid("text that is NULL");
        ret = std::string();
        return {};
      }
      std::string text(value.text.data, value.text.len);
      if (!is_utf8(text)) return invalid("text that is not UTF-8");
      ret = std::move(text);
      return {};
    }
    default:
      return invalid("a value of unknown type " + std::to_string(value.type));
  }
}

fp_value to_c(const Value& value) {
  fp_value c{};
  c.type = static_cast<uint32_t>(type_of(value));
  if (const auto* number = std::get_if<double>(&value)) c.number = *number;
  if (const auto* flag = std::get_if<bool>(&value)) c.boolean = *flag ? 1 : 0;
  if (const auto* text = std::get_if<std::string>(&value)) c.text = {text->data(), text->size()};
  return c;
}

DataType type_of_option(OptionType type) {
  switch (type) {
    case OptionType::Integer:
    case OptionType::Number:
    case OptionType::Duration:
    case OptionType::Size:
      return DataType::Number;
    case OptionType::Boolean:
      return DataType::Boolean;
    case OptionType::Text:
    case OptionType::Choice:
    case OptionType::Attribute:
    case OptionType::Command:
      break;
  }
  return DataType::String;
}

}  // namespace fieldpost
