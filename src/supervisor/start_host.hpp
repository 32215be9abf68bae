// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.hpp"

namespace fieldpost {

// Starts `plugin_host` VERB FILE.so (main/plugin_host.cpp) with `log`, or nothing for -1, as its
// descriptor 2 and `socket` as 3, both borrowed for the call. Of our environment it gets what says
// where and in which language it runs: others of it are secrets (`fieldpost setup` takes them from
// there) or ways to systemd. As `user`, with its groups and no capability, if that is not empty:
// for root. See spawn() for the rest, and for errors.
Result<pid_t> start_host(const std::string& plugin_host, const std::string& verb,
                         const std::string& file, int log, int socket,
                         const std::string& user = "");

inline constexpr const char* kSetpriv = "/usr/bin/setpriv";  // of util-linux, which is essential

}  // namespace fieldpost
