// SPDX-License-Identifier: Apache-2.0
//
// What [[publish]] and [[subscribe]] have in common.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

#include "config/node.hpp"
#include "config/options.hpp"
#include "config/problems.hpp"

namespace fieldpost {

// Reads a row; whether it is to be used.
template <class Read>
bool read_entry(Problems& problems, Read read) {
  const size_t errors = problems.errors();
  const size_t mark = problems.mark();
  read();
  if (problems.kept()) return problems.demote(mark, Problem::Severity::Warning).empty();
  return problems.errors() == errors;
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
