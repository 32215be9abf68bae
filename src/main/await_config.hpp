// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "base/file.hpp"
#include "cli/paths.hpp"

namespace fieldpost {

// Each file that decides whether there is a usable configuration: its own, and the plugins.
using ConfigStamps = std::map<std::string, FileStamp>;
ConfigStamps config_stamps(const Paths& paths);

// For a service without a usable configuration, which systemd would start anew each second for
// ever: tells it that there is nothing to run, and `why`, and waits until the files are no more as
// they were `seen`, or SIGHUP asks to look again (true), or SIGTERM or SIGINT to end (false). These
// must be blocked.
bool await_config(const Paths& paths, const ConfigStamps& seen, const std::string& why);

}  // namespace fieldpost
