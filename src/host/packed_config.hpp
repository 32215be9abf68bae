// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fieldpost/plugin.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/plugin_info.hpp"

namespace fieldpost {

// What an instance is configured with, as long as the plugin may ask for it: until close. A host
// with 1,000 registers holds 10,000 options; as an InstanceConfig they are 1 MB in each of these
// processes, here 24 bytes each, as the same few names and texts recur.
class PackedConfig {
 public:
  // `config` is sound: every index in it is one of its sections.
  explicit PackedConfig(const InstanceConfig& config);

  size_t sections() const { return n_sections_; }
  const std::vector<uint32_t>& units() const { return units_; }

  // The rows of a table in a section, in the order of the file.
  uint32_t n_rows(fp_section section, std::string_view table) const;
  std::optional<fp_section> row(fp_section section, std::string_view table, uint32_t index) const;
  // None if the option was not given and has no fallback. Text is valid as long as this object.
  std::optional<fp_value> get(fp_section section, std::string_view option) const;

 private:
  struct Option {
    uint32_t section;
    uint32_t name;                              // in texts_
    std::variant<double, bool, uint32_t> held;  // of text: where it is in texts_
  };
  // Sections of one parent and table stand together, in their order.
  struct Row {
    uint32_t parent;
    uint32_t table;  // in texts_
    uint32_t section;
  };

  std::optional<uint32_t> find(std::string_view text) const;
  std::span<const Row> rows(fp_section section, std::string_view table) const;

  std::vector<std::string> texts_;  // sorted, no two the same
  size_t n_sections_;
  std::vector<uint32_t> units_;
  std::vector<Option> options_;  // sorted by section and name
  std::vector<Row> rows_;        // sorted by parent and table
};

}  // namespace fieldpost
