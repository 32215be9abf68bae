// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace fieldpost {

// For a service without a usable configuration, which systemd would start anew each second for
// ever: tells it that there is nothing to run, and `why`, and waits until a file of the
// configuration at `path` has changed or SIGHUP asks to look again (true), or SIGTERM or SIGINT to
// end (false). These must be blocked.
bool await_config(const std::string& path, const std::string& why);

}  // namespace fieldpost
