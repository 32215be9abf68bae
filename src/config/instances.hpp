// SPDX-License-Identifier: Apache-2.0
//
// [[device]] and [[plugin]]: what each instance gets, checked against the tables of its plugin.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/node.hpp"
#include "config/problems.hpp"
#include "config/tables.hpp"

namespace fieldpost {

class Profiles;

// Where the parts of an instance stand in the files, for messages that come up later. Same index
// as Config::plugins.
struct Origin {
  struct Part {
    Location at;
    std::string path;                         // "plugin.register"
    std::map<std::string, Location> options;  // where the values are that were given
    const std::vector<OptionSpec>* specs = nullptr;
    // A key that only a number's attribute may have, and where it is; empty: none.
    std::pair<std::string, Location> number_key;
  };
  Location at;                // [[plugin]]
  const Node* row = nullptr;  // the same, as long as the files' tree is there; of a sound one
  Location name;              // of its value
  Location type;
  Location socket;
  std::vector<Part> sections;  // same index as InstanceConfig::sections
  bool sound = true;           // nothing is wrong with it so far
};

// Where a message about an option of a section points, and what it calls it.
Location location_of(const Origin& origin, uint32_t section, const std::string& option);
std::string path_of(const Origin& origin, uint32_t section, const std::string& option);

// Asks a probe once for each type.
class Plugins {
 public:
  explicit Plugins(PluginProbe& probe) : probe_(&probe) {}
  // Errors: as PluginProbe::describe, in words that follow "plugin.type: ".
  const Result<PluginInfo>& describe(const std::string& type);
  PluginProbe& probe() const { return *probe_; }

 private:
  std::string not_installed(const std::string& type);
  PluginProbe* probe_;
  std::map<std::string, Result<PluginInfo>> known_;
  std::optional<std::vector<std::string>> types_;
};

// Fills Config::devices; the gateway, which has been read, comes first.
void read_devices(const Node& root, Config& config, Problems& problems);

// Fills Config::plugins but for what only `declare` tells.
std::vector<Origin> read_instances(const Node& root, Config& config, Plugins& plugins,
                                   Profiles& profiles, Problems& problems);

// Index of the device of that name; reported if nobody defined it, and the gateway then.
size_t find_device(const std::string& name, const Location& at, const std::string& path,
                   const Config& config, Problems& problems);

}  // namespace fieldpost
