// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace exec {
namespace {

constexpr int64_t kAgain = 100'000'000;     // SIGKILL again: what it was sent to may have forked
constexpr int64_t kLastWait = 300'000'000;  // for what was killed at the very end

std::string words_of(const siginfo_t& exit) {
  if (exit.si_code == CLD_EXITED) {
    return exit.si_status == 0 ? "" : "status " + std::to_string(exit.si_status);
  }
  const char* const meaning = sigdescr_np(exit.si_status);
  return "signal " + std::to_string(exit.si_status) +
         (meaning != nullptr ? " (" + std::string(meaning) + ")" : "");
}

}  // namespace

int64_t boot_now() {
  timespec t{};
  (void)clock_gettime(CLOCK_BOOTTIME, &t);  // cannot fail
  return t.tv_sec * int64_t{1'000'000'000} + t.tv_nsec;
}

Program::Program(pid_t pid) : pid_(pid) {}

Program::~Program() {
  end(boot_now(), kLastGrace);
  int64_t give_up = 0;  // what the kernel does not let go of, a dead disk's reader, is left
  for (;;) {
    const int64_t now = boot_now();
    look(now);
    if (gone_ || (give_up != 0 && now > give_up)) return;
    if (give_up == 0) give_up = *kill_at_ + kLastWait;
    const int64_t wait = std::clamp(*kill_at_ - now, int64_t{0}, kAgain);
    const timespec limit{0, static_cast<long>(wait)};
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void)sigtimedwait(&child, nullptr, &limit);
  }
}

void Program::look(int64_t now) {
  if (gone_) return;
  note_exit();
  bool left = reap_others();
  if (left && exited_) end(now);
  if (kill_at_ && now >= *kill_at_) {
    signal_all(SIGKILL);
    kill_at_ = now + kAgain;
    note_exit();
    left = reap_others();
  }
  if (!exited_ || left) return;
  // Its number is nobody else's until it is waited for, so that is done last.
  (void)kill(-pid_, SIGKILL);
  (void)waitpid(pid_, nullptr, 0);
  gone_ = true;
  kill_at_.reset();
}

void Program::end(int64_t now, int64_t grace) {
  if (gone_) return;
  if (!kill_at_) {
    signal_all(SIGTERM);
    signal_all(SIGCONT);  // one that is stopped would not hear of it
    kill_at_ = now + grace;
  }
  kill_at_ = std::min(*kill_at_, now + grace);
}

void Program::note_exit() {
  if (exited_) return;
  siginfo_t exit{};
  const int done = waitid(P_PID, static_cast<id_t>(pid_), &exit, WEXITED | WNOHANG | WNOWAIT);
  if (done == 0 && exit.si_pid == 0) return;
  exited_ = true;
  failure_ = done == 0 ? words_of(exit) : "a status that somebody else has taken";
}

// Our children besides the program: what it has left behind. Nobody waits for them but us, so
// their numbers are theirs. None where the kernel has no such file; then the group is all we know.
std::vector<pid_t> Program::others() const {
  std::ifstream file("/proc/self/task/" + std::to_string(gettid()) + "/children");
  std::vector<pid_t> pids;
  for (pid_t pid = 0; file >> pid;) {
    if (pid != pid_) pids.push_back(pid);
  }
  return pids;
}

// True if one is still alive.
bool Program::reap_others() const {
  bool alive = false;
  for (const pid_t pid : others()) alive = waitpid(pid, nullptr, WNOHANG) == 0 || alive;
  return alive;
}

void Program::signal_all(int number) const {
  (void)kill(-pid_, number);
  for (const pid_t pid : others()) (void)kill(pid, number);
}

}  // namespace exec
