// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace exec {

// CLOCK_BOOTTIME in nanoseconds; all times here are of it.
int64_t boot_now();

// A program that was started, and all that it has started: for as long as anything of it is left.
// What loses its parent becomes a child of this process (PR_SET_CHILD_SUBREAPER), a daemon with a
// session of its own too, so nothing gets out of sight. All children of this process are taken to
// be the program's. SIGCHLD must be blocked; it says when to look.
class Program {
 public:
  static constexpr int64_t kGrace = 2'000'000'000;    // between SIGTERM and SIGKILL
  static constexpr int64_t kLastGrace = 500'000'000;  // in the destructor, which must not take long

  explicit Program(pid_t pid);
  ~Program();  // ends what is left
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Takes note of what has ended, and sends SIGKILL when it is due. What the program has left
  // behind at its own end is ended as well.
  void look(int64_t now);
  // When to look at the latest; otherwise after SIGCHLD.
  std::optional<int64_t> next_look() const { return kill_at_; }

  // SIGTERM to all of it; look() does the rest. Again: nothing.
  void end(int64_t now) { end(now, kGrace); }

  bool has_exited() const { return exited_; }  // the program itself
  bool is_gone() const { return gone_; }       // and all that it has started
  // "status 1", "signal 11 (Segmentation fault)"; empty for status 0.
  const std::string& failure() const { return failure_; }

 private:
  void end(int64_t now, int64_t grace);
  void note_exit();
  std::vector<pid_t> others() const;
  bool reap_others() const;
  void signal_all(int number) const;

  pid_t pid_;
  bool exited_ = false, gone_ = false;
  std::string failure_;
  std::optional<int64_t> kill_at_;
};

}  // namespace exec
