// SPDX-License-Identifier: Apache-2.0
//
// Profiles: what a model of device has (registers, scale), apart from where one is. A file of TOML
// for each, FOLDER/TYPE/NAME.toml, with the options of a unit and the rows inside it, as they would
// stand in the configuration: [[plugin.chip]] profile = "tmp102" puts them there. Beside these it
// has `title`, and `source` at its top and in each row: where the numbers are from.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "config/node.hpp"
#include "config/problems.hpp"
#include "model/plugin_info.hpp"

namespace fieldpost {

// Beside the configuration: the site's own, which are files of the configuration (files_of()).
inline constexpr const char* kProfileFolder = "profiles";
// Beside a configuration that is kept: those of packages that it has.
inline constexpr const char* kInstalledProfiles = "installed-profiles";

// Those that are in a folder, "i2c/tmp102.toml", whether or not a unit has them. What begins with a
// dot is an editor's.
std::vector<std::string> profiles_in(const std::string& folder);
// The profiles of a type that are in these folders, and their titles; "" where one has none.
std::map<std::string, std::string> list_profiles(const std::vector<std::string>& folders,
                                                 const std::string& type);

class Profiles {
 public:
  // Searched in this order, so that a site's own profile goes before one that was installed. The
  // first is the site's own, and read at once: what units have is then what own() says.
  explicit Profiles(const std::vector<std::string>& folders);

  // A unit's row with what the profile that it names adds. What the row says itself
  // stays: its keys, and its rows in the place of those for the same attribute. `path` is what
  // messages call the row. What is wrong with the profile is reported, at its place in that file.
  Node with_profile(const Node& unit, const PluginInfo& info, const std::string& path,
                    Problems& problems);

  // Every profile that a unit has, "i2c/tmp102.toml", with its content.
  std::map<std::string, std::string> take_files() { return std::exchange(files_, {}); }
  // All of the first folder that can be read.
  std::map<std::string, std::string> own() const;

 private:
  std::optional<Node> read(const std::string& type, const std::string& name, const Location& at,
                           const std::string& path, Problems& problems);
  std::string not_found(const std::string& type, const std::string& name) const;

  std::vector<std::string> folders_;
  std::map<std::string, Result<std::string>> own_;
  std::map<std::string, std::string> files_;
};

}  // namespace fieldpost
