// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace exec {

// The file that `name` stands for: an absolute path, or a name that is looked for in PATH. Looks
// at the file's beginning for what execve would refuse, and runs nothing. Throws sdk::ConfigError
// with why it cannot be run and what to do.
std::string find_executable(const std::string& name);

// Where the file is named that is not there: that the service sees nothing of /home, /root, /tmp.
std::string unseen_note(const std::string& path);

}  // namespace exec
