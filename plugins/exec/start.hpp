// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

namespace exec {

// A descriptor that is closed with its owner; -1: none.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) (void)close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct ProgramSpec {
  std::string path;               // of the file
  std::vector<std::string> argv;  // [0] as it was written
  std::vector<std::string> env;   // NAME=VALUE
  std::string cwd;
  bool has_stdin = false;  // else it is /dev/null
};

// Started, in a session and group of its own, whose number is pid. Ours are the other ends, all
// O_NONBLOCK and O_CLOEXEC; `in` is none without has_stdin.
struct Started {
  pid_t pid = 0;
  Fd in, out, err;
};

// Returns when the program runs. It has no other descriptors of ours, signals as they are by
// default, and is killed by the kernel when this thread ends. Throws sdk::IoError: what failed.
Started start(const ProgramSpec& spec);

}  // namespace exec
