// SPDX-License-Identifier: Apache-2.0
#include "host/packed_config.hpp"

#include <algorithm>
#include <tuple>

#include "host/tables.hpp"

namespace fieldpost {
namespace {

// Every name and text of the configuration once, sorted.
std::vector<std::string> texts_of(const InstanceConfig& config) {
  std::vector<std::string_view> all;
  for (const ConfigSection& section : config.sections) {
    all.push_back(section.table);
    for (const auto& [name, value] : section.values) {
      all.push_back(name);
      if (const auto* text = std::get_if<std::string>(&value)) all.push_back(*text);
    }
  }
  std::ranges::sort(all);
  const auto rest = std::ranges::unique(all);
  return {all.begin(), rest.begin()};
}

}  // namespace

PackedConfig::PackedConfig(const InstanceConfig& config)
    : texts_(texts_of(config)), n_sections_(config.sections.size()), units_(config.units) {
  size_t n = 0;
  for (const ConfigSection& section : config.sections) n += section.values.size();
  options_.reserve(n);
  rows_.reserve(config.sections.size() - 1);
  for (uint32_t i = 0; i < config.sections.size(); ++i) {
    const ConfigSection& section = config.sections[i];
    for (const auto& [name, value] : section.values) {  // sorted by name, as texts_ are
      Option& option = options_.emplace_back(i, *find(name), 0.0);
      if (const auto* number = std::get_if<double>(&value)) option.held = *number;
      if (const auto* flag = std::get_if<bool>(&value)) option.held = *flag;
      if (const auto* text = std::get_if<std::string>(&value)) option.held = *find(*text);
    }
    if (i > 0) rows_.push_back({section.parent, *find(section.table), i});
  }
  std::ranges::sort(rows_, {}, [](const Row& r) { return std::tie(r.parent, r.table, r.section); });
}

std::optional<uint32_t> PackedConfig::find(std::string_view text) const {
  const auto found = std::ranges::lower_bound(texts_, text);
  if (found == texts_.end() || *found != text) return std::nullopt;
  return static_cast<uint32_t>(found - texts_.begin());
}

std::span<const PackedConfig::Row> PackedConfig::rows(fp_section section,
                                                      std::string_view table) const {
  const auto name = find(table);
  if (!name) return {};
  return std::ranges::equal_range(rows_, std::pair(section, *name), {},
                                  [](const Row& r) { return std::pair(r.parent, r.table); });
}

uint32_t PackedConfig::n_rows(fp_section section, std::string_view table) const {
  return static_cast<uint32_t>(rows(section, table).size());
}

std::optional<fp_section> PackedConfig::row(fp_section section, std::string_view table,
                                            uint32_t index) const {
  const auto found = rows(section, table);
  if (index >= found.size()) return std::nullopt;
  return found[index].section;
}

std::optional<fp_value> PackedConfig::get(fp_section section, std::string_view option) const {
  const auto name = find(option);
  if (!name) return std::nullopt;
  const auto wanted = std::pair(section, *name);
  const auto at = [](const Option& o) { return std::pair(o.section, o.name); };
  const auto found = std::ranges::lower_bound(options_, wanted, {}, at);
  if (found == options_.end() || at(*found) != wanted) return std::nullopt;
  if (const auto* text = std::get_if<uint32_t>(&found->held)) {
    const std::string& held = texts_[*text];
    return fp_value{FP_STRING, 0, 0, {held.data(), held.size()}};
  }
  if (const auto* flag = std::get_if<bool>(&found->held)) return to_c(*flag);
  return to_c(std::get<double>(found->held));
}

}  // namespace fieldpost
