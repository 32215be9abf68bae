// SPDX-License-Identifier: Apache-2.0
#include "config/sections.hpp"

#include <algorithm>
#include <utility>

#include "config/guard_table.hpp"
#include "config/options.hpp"
#include "config/report_table.hpp"

namespace fieldpost {
namespace {

constexpr const char* kOptions = "options";
// What the messages between supervisor and host carry (model/message.hpp, kMaxTableRows).
constexpr size_t kMaxSections = 4096;

const TableSpec* units_of(const PluginInfo& info) {
  const auto it = std::ranges::find(info.tables, true, &TableSpec::units);
  return it == info.tables.end() ? nullptr : &*it;
}

std::vector<std::string_view> names_of(const std::vector<OptionSpec>& specs,
                                       std::span<const CoreOption> core) {
  std::vector<std::string_view> names = fieldpost::names_of(core);
  names.reserve(names.size() + specs.size());
  for (const OptionSpec& spec : specs) names.emplace_back(spec.name);
  return names;
}

// Of an option that may be any text, only its help says what is wanted.
std::string missing_text(const OptionSpec& spec) {
  std::string text = "missing; expected " + expected_form(spec);
  if (spec.type == OptionType::Text && !spec.help.empty()) text += ": " + spec.help;
  return text;
}

// A plugin may have a table of the name of one that all have: then it is the plugin's.
bool has_table(const PluginInfo& info, const char* name) {
  return std::ranges::find(info.tables, name, &TableSpec::name) != info.tables.end();
}

bool has_option(const std::vector<OptionSpec>& specs, const std::string& name) {
  return std::ranges::find(specs, name, &OptionSpec::name) != specs.end();
}

// What is said of readings goes by the plugin's own key where it has one of that name.
std::vector<CoreOption> without(std::span<const CoreOption> core,
                                const std::vector<OptionSpec>& own) {
  static const std::vector<CoreOption> report = report_options();
  static const std::vector<std::string_view> ours = fieldpost::names_of(report);
  std::vector<CoreOption> rest(core.begin(), core.end());
  std::erase_if(rest, [&](const CoreOption& option) {
    return has_option(own, option.spec.name) &&
           std::ranges::find(ours, option.spec.name) != ours.end();
  });
  return rest;
}

}  // namespace

Result<> SectionReader::read(const Node& row, size_t device, const PluginRow& core) {
  check_keys(row);
  const Member* options = row.find(kOptions);
  Node none;
  none.at = row.at;
  const Node* given = &none;
  if (options != nullptr) {
    const std::string path = join("plugin", kOptions);
    if (options->value.kind == Node::Kind::Table) {
      given = &options->value;
      refuse_options(*given, path);
    } else {
      problems_->error(options->value.at,
                       path + ": expected options.NAME = VALUE, got " + describe(options->value));
    }
  }
  (void)FP_TRY(add(*given, info_->options, 0, "", "plugin.options"));
  origin_->sections[0].at = row.at;
  plugin_->section_device.push_back(device);
  plugin_->section_keep.push_back(core.keep);
  plugin_->instance.reports.push_back(refined({}, core));
  check_report(row, plugin_->instance.reports[0], "plugin", *problems_);
  instance_ = &row;
  origin_->row = &row;
  if (!has_table(*info_, kAttributeTable)) {
    plugin_->instance.named_reports = read_attributes(row, *problems_);
  }
  if (!has_table(*info_, kGuardTable)) plugin_->instance.guards = read_guards(row, *problems_);

  const TableSpec* units = units_of(*info_);
  const Member* unit_rows = units == nullptr ? nullptr : row.find(units->name);
  if (unit_rows != nullptr) {
    const std::string path = join("plugin", units->name);
    if (!expect_rows(unit_rows->value, unit_rows->at, path, *problems_)) return {};
    if (!unit_rows->value.items.empty()) return read_units(row, *units, device);
  }
  plugin_->instance.units = {0};
  plugin_->unit_names = {plugin_->name};
  return read_rows(row, 0, "plugin");
}

// A key of the instance itself is as easily written with `options.` before it as without.
void SectionReader::refuse_options(const Node& options, const std::string& path) {
  const std::vector<std::string_view> known = names_of(info_->options, {});
  const std::vector<std::string_view> outside =
      fieldpost::names_of(find_section("plugin")->options);
  for (const Member& member : options.members) {
    if (std::ranges::find(known, member.key) != known.end()) continue;
    if (std::ranges::find(outside, member.key) == outside.end()) {
      problems_->unknown_key(member.at, path, member.key, known);
    } else {
      problems_->error(member.at, join(path, member.key) + ": unknown key; '" + member.key +
                                      "' stands without options. before it");
    }
  }
}

Result<> SectionReader::read_units(const Node& row, const TableSpec& table, size_t device) {
  refuse_rows_beside_units(row, table);
  plugin_->instance.units.clear();
  plugin_->unit_names.clear();
  for (const Node& unit : row.find(table.name)->value.items) {
    FP_CHECK_OK(read_unit(unit, table, device));
  }
  return {};
}

Result<> SectionReader::read_unit(const Node& row, const TableSpec& table, size_t device) {
  const std::string path = join("plugin", table.name);
  const Node unit = profiles_->with_profile(row, *info_, path, *problems_);
  std::vector<std::string_view> known = names_of(table.options, unit_options());
  for (const TableSpec& inner : info_->tables) {
    if (!inner.units) known.emplace_back(inner.name);
  }
  refuse_unknown(unit, path, known, *problems_);
  const uint32_t section = FP_TRY(add(unit, table.options, 0, table.name, path));
  RowKeys keys;
  read_options(unit, without(unit_options(), table.options), &keys, path, false, *problems_);
  add_keys(unit, table, keys, path, 0, device);
  plugin_->instance.units.push_back(section);
  plugin_->unit_names.push_back(unit_name(unit, keys, path));
  return read_rows(unit, section, path);
}

Result<> SectionReader::read_rows(const Node& node, uint32_t parent, const std::string& path) {
  for (const TableSpec& table : info_->tables) {
    const Member* rows = table.units ? nullptr : node.find(table.name);
    const std::string row_path = join(path, table.name);
    if (rows == nullptr || !expect_rows(rows->value, rows->at, row_path, *problems_)) continue;
    const std::vector<CoreOption> core = without(row_options(), table.options);
    for (const Node& given : rows->value.items) {
      refuse_unknown(given, row_path, names_of(table.options, core), *problems_);
      const Node row = with_named_keys(given, *instance_, table.options);
      (void)FP_TRY(add(row, table.options, parent, table.name, row_path));
      RowKeys keys;
      read_options(row, core, &keys, row_path, false, *problems_);
      add_keys(row, table, keys, row_path, parent, plugin_->section_device[parent]);
    }
  }
  return {};
}

void SectionReader::add_keys(const Node& node, const TableSpec& table, const RowKeys& keys,
                             const std::string& path, uint32_t above, size_t device) {
  plugin_->section_device.push_back(device_of(node, keys, path, device));
  plugin_->section_keep.push_back(keys.keep.value_or(plugin_->section_keep[above]));
  auto& reports = plugin_->instance.reports;
  reports.push_back(refined(with_own(reports[above], node, table.options), keys));
  check_report(node, reports.back(), path, *problems_);
  if (const char* key = number_key(node, table.options)) {
    origin_->sections.back().number_key = {join(path, key), value_at(node, key)};
  }
}

Result<uint32_t> SectionReader::add(const Node& node, const std::vector<OptionSpec>& specs,
                                    uint32_t parent, const std::string& table,
                                    const std::string& path) {
  ConfigSection section{parent, table, {}};
  Origin::Part part{node.at, path, {}, &specs};
  for (const OptionSpec& spec : specs) {
    const std::string name = join(path, spec.name);
    if (const Member* given = node.find(spec.name)) {
      part.options.emplace(spec.name, given->value.at);
      if (auto value = check_value(spec, given->value, name, *problems_)) {
        section.values.emplace(spec.name, *std::move(value));
      }
    } else if (spec.fallback) {
      auto value = parse_option(spec, *spec.fallback);
      if (!value) {
        return Error{Errc::Invalid, "the plugin contradicts itself: the fallback of its option '" +
                                        spec.name + "': " + value.error().message};
      }
      section.values.emplace(spec.name, *std::move(value));
    } else if (spec.required) {
      problems_->error(node.at, name + ": " + missing_text(spec));
    }
  }
  auto& sections = plugin_->instance.sections;
  if (sections.size() == kMaxSections) {
    problems_->error(node.at, path + ": expected at most " + std::to_string(kMaxSections) +
                                  " rows in one instance; divide it among several");
  }
  sections.push_back(std::move(section));
  origin_->sections.push_back(std::move(part));
  return static_cast<uint32_t>(sections.size() - 1);
}

void SectionReader::check_keys(const Node& row) const {
  std::vector<std::string_view> known = fieldpost::names_of(find_section("plugin")->options);
  known.emplace_back(kOptions);
  for (const TableSpec& table : info_->tables) known.emplace_back(table.name);
  for (const char* table : {kAttributeTable, kGuardTable}) {
    if (!has_table(*info_, table)) known.emplace_back(table);
  }
  for (const Member& member : row.members) {
    if (std::ranges::find(known, member.key) != known.end()) continue;
    if (has_option(info_->options, member.key)) {
      problems_->error(member.at, "plugin." + member.key + ": unknown key; did you mean 'options." +
                                      member.key + "'?");
    } else {
      problems_->unknown_key(member.at, "plugin", member.key, known);
    }
  }
}

void SectionReader::refuse_rows_beside_units(const Node& row, const TableSpec& units) const {
  for (const TableSpec& table : info_->tables) {
    const Member* rows = table.units ? nullptr : row.find(table.name);
    if (rows == nullptr) continue;
    const Location& at = rows->value.items.empty() ? rows->at : rows->value.items.front().at;
    problems_->error(at, "plugin." + table.name + ": expected inside a unit, as [[plugin." +
                             units.name + "." + table.name +
                             "]], because this instance has [[plugin." + units.name + "]]");
  }
}

size_t SectionReader::device_of(const Node& node, const RowKeys& keys, const std::string& path,
                                size_t fallback) const {
  const Member* given = node.find("device");
  if (given == nullptr || !is_text(given->value)) return fallback;
  return find_device(keys.device, given->value.at, join(path, "device"), *config_, *problems_);
}

std::string SectionReader::unit_name(const Node& unit, const RowKeys& keys,
                                     const std::string& path) {
  const auto taken = [&](const std::string& name) {
    return std::ranges::find(plugin_->unit_names, name) != plugin_->unit_names.end();
  };
  if (!keys.name.empty() && taken(keys.name)) {
    problems_->error(unit.find("name")->value.at, path + ".name: another unit of '" +
                                                      plugin_->name + "' is called '" + keys.name +
                                                      "' already");
  }
  if (!keys.name.empty()) return keys.name;
  if (!keys.device.empty() && !taken(keys.device)) return keys.device;
  return "unit-" + std::to_string(plugin_->unit_names.size() + 1);
}

}  // namespace fieldpost
