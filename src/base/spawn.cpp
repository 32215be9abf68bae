// SPDX-License-Identifier: Apache-2.0
#include "base/spawn.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

namespace fieldpost {
namespace {

struct Actions {
  posix_spawn_file_actions_t raw{};
  Actions() { posix_spawn_file_actions_init(&raw); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  ~Actions() { posix_spawn_file_actions_destroy(&raw); }
};

struct Attributes {
  posix_spawnattr_t raw{};
  Attributes() {
    posix_spawnattr_init(&raw);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&raw, &none);
    posix_spawnattr_setsigdefault(&raw, &all);
    posix_spawnattr_setpgroup(&raw, 0);
    posix_spawnattr_setflags(
        &raw, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  ~Attributes() { posix_spawnattr_destroy(&raw); }
};

// For execve(): it changes nothing, whatever its type says. Ends in a null pointer.
std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

}  // namespace

Result<pid_t> spawn(const SpawnRequest& request) {
  const int count = static_cast<int>(request.descriptors.size());
  // First out of the way of 0..count-1, so that no dup2 overwrites a descriptor still to be used;
  // it also clears the case of dup2(n, n), which would leave close-on-exec set.
  std::vector<UniqueFd> moved;
  Actions actions;
  for (int target = 0; target < count; ++target) {
    const int fd = request.descriptors[static_cast<size_t>(target)];
    if (fd < 0) {
      posix_spawn_file_actions_addopen(&actions.raw, target, "/dev/null", O_RDWR, 0);
      continue;
    }
    moved.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, count));
    if (!moved.back()) return Error::from_errno(errno, "duplicate a descriptor");
    posix_spawn_file_actions_adddup2(&actions.raw, moved.back().get(), target);
  }
  posix_spawn_file_actions_addclosefrom_np(&actions.raw, count);

  std::vector<char*> argv = pointers(request.args);
  argv.insert(argv.begin(), const_cast<char*>(request.program.c_str()));
  std::vector<char*> variables;
  if (request.environment) variables = pointers(*request.environment);
  const Attributes attributes;
  pid_t pid = -1;
  const int r = ::posix_spawn(&pid, request.program.c_str(), &actions.raw, &attributes.raw,
                              argv.data(), request.environment ? variables.data() : environ);
  if (r != 0) return Error::from_errno(r, "start '" + request.program + "'");
  return pid;
}

Result<UniqueFd> open_pidfd(pid_t pid) {
  // Not by glibc 2.36's wrapper: its header forgets that C++ mangles names.
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return Error::from_errno(errno, "watch process " + std::to_string(pid));
  return fd;
}

}  // namespace fieldpost
