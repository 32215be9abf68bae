// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace fieldpost {

// What a child sees as descriptors 0, 1, 2, 3…; -1 becomes /dev/null. Nothing else is inherited.
struct SpawnRequest {
  std::string program;                                    // an absolute path
  std::vector<std::string> args;                          // without the program's name
  std::vector<int> descriptors;                           // borrowed for the call
  std::optional<std::vector<std::string>> environment{};  // NAME=VALUE; none: ours
};

// Starts a program without running any of our code in the child (posix_spawn): signal mask empty,
// every signal at its default, leader of a process group of its own: what it
// starts in turn can be ended with kill(-pid). Call it from the main thread for children that
// set a parent-death signal, because that signal follows the thread. Errors: NotFound, Io.
Result<pid_t> spawn(const SpawnRequest& request);

// A descriptor that becomes readable when the child ends. Errors: Io.
Result<UniqueFd> open_pidfd(pid_t pid);

}  // namespace fieldpost
