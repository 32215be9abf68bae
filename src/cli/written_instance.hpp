// SPDX-License-Identifier: Apache-2.0
//
// A plugin instance that stands on the command line instead of in a file.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "cli/paths.hpp"
#include "config/config.hpp"
#include "model/plugin_info.hpp"

namespace fieldpost::cli {

// "options.url" is KEY "url"; "[[plugin.register]] address" is "register.address", that of a unit's
// row "unit.register.address". A key that was given already for a row begins the next one.
struct Setting {
  std::string key, value;
};

// "KEY=VALUE". Errors: Invalid.
Result<Setting> parse_setting(const std::string& text);

// What a configuration file would have for it, with a gateway and a broker that are never used; the
// instance is called as its type. Keys that the plugin does not have are left to the loading, which
// knows others that are meant. Errors: Invalid (a value that its option does not take).
Result<std::string> written_config(const PluginInfo& plugin, const std::vector<Setting>& settings);

// The configuration that this makes: one plugin, and the gateway as its device. Errors: Invalid, as
// above or the problems that loading finds, a line each; NotFound (no such plugin); Io.
Result<Config> load_written(const Paths& paths, const std::string& type,
                            const std::vector<Setting>& settings);

}  // namespace fieldpost::cli
