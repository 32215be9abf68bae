// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/instances.hpp"
#include "config/profiles.hpp"

namespace fieldpost {

// Reads the plugin's own part of a [[plugin]]: options, units and rows, in the order in which the
// host numbers its sections. One use per instance.
class SectionReader {
 public:
  SectionReader(const PluginInfo& info, const Config& config, PluginConfig& ret_plugin,
                Origin& ret_origin, Profiles& profiles, Problems& problems)
      : info_(&info),
        config_(&config),
        plugin_(&ret_plugin),
        origin_(&ret_origin),
        profiles_(&profiles),
        problems_(&problems) {}

  // `core` is the instance's, and `device` its device. Errors: Invalid (the plugin's tables
  // contradict themselves).
  Result<> read(const Node& row, size_t device, const PluginRow& core);

 private:
  Result<> read_units(const Node& row, const TableSpec& table, size_t device);
  Result<> read_unit(const Node& row, const TableSpec& table, size_t device);
  // All rows of all tables but that of the units, directly inside `node`.
  Result<> read_rows(const Node& node, uint32_t parent, const std::string& path);
  Result<uint32_t> add(const Node& node, const std::vector<OptionSpec>& specs, uint32_t parent,
                       const std::string& table, const std::string& path);
  // What the core keeps of the section that add() made last.
  void add_keys(const Node& node, const TableSpec& table, const RowKeys& keys,
                const std::string& path, uint32_t above, size_t device);
  void check_keys(const Node& row) const;
  void refuse_options(const Node& options, const std::string& path);
  void refuse_rows_beside_units(const Node& row, const TableSpec& units) const;
  size_t device_of(const Node& node, const RowKeys& keys, const std::string& path,
                   size_t fallback) const;
  std::string unit_name(const Node& unit, const RowKeys& keys, const std::string& path);

  const PluginInfo* info_;
  const Node* instance_ = nullptr;  // [[plugin]]
  const Config* config_;
  PluginConfig* plugin_;
  Origin* origin_;
  Profiles* profiles_;
  Problems* problems_;
};

}  // namespace fieldpost
