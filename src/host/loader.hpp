// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fieldpost/plugin.h>

#include <string>

#include "base/result.hpp"
#include "model/plugin_info.hpp"

namespace fieldpost {

// A plugin in this process. It stays loaded until the process ends: a plugin may have started
// threads or registered exit handlers, and unmapping their code would crash.
struct Plugin {
  fp_plugin calls{};  // the plugin's descriptor, as far as both sides know it
  PluginInfo info;
};

// Loads `path`, checks the ABI and takes over the tables. The plugin's code runs for the first
// time (its static constructors). Errors: NotFound (no such file), Invalid (why it is no plugin of
// ours, in words for its author).
Result<Plugin> load_plugin(const std::string& path);

// Whether a plugin with these versions may be loaded: exposed for tests. Errors: Invalid.
Result<> check_abi(uint32_t major, uint32_t minor);

}  // namespace fieldpost
