// SPDX-License-Identifier: Apache-2.0
//
// What [[publish]] and [[subscribe]] have in common.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "config/node.hpp"
#include "config/options.hpp"
#include "config/problems.hpp"

namespace fieldpost {

// The rows of a section that are to be used.
template <class Entry, class Reader>
std::vector<Entry> read_entries(const Node& root, std::string_view section, Reader& reader,
                                Problems& problems) {
  std::vector<Entry> entries;
  for (const Node& row : rows_of(root, section)) {
    const size_t errors = problems.errors();
    const size_t mark = problems.mark();
    Entry entry;
    reader.read(row, entry);
    const bool good = problems.kept() ? problems.demote(mark, Problem::Severity::Warning).empty()
                                      : problems.errors() == errors;
    if (good) entries.push_back(std::move(entry));
  }
  return entries;
}

inline bool is_given(const Node& row, std::string_view key) {
  const Member* member = row.find(key);
  return member != nullptr && is_text(member->value);
}

// What other plugins have is not known of a device that one serves which cannot run.
inline bool is_known(const Config& config, std::optional<size_t> device) {
  return std::ranges::none_of(config.plugins, [&](const PluginConfig& plugin) {
    const bool serves =
        !device || plugin.section_device.empty() ||
        std::ranges::find(plugin.section_device, *device) != plugin.section_device.end();
    return serves && plugin.attribute_device.empty() && plugin.command_device.empty();
  });
}

}  // namespace fieldpost
