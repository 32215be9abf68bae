// SPDX-License-Identifier: Apache-2.0
#include "cli/program_output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/clock.hpp"
#include "base/spawn.hpp"

namespace fieldpost::cli {
namespace {

// Ends the program with all that it started, however the reading of its output ends.
class Ended {
 public:
  explicit Ended(pid_t pid) : pid_(pid) {}
  Ended(const Ended&) = delete;
  Ended& operator=(const Ended&) = delete;
  ~Ended() {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

}  // namespace

Result<std::string> program_output(const std::vector<std::string>& command, size_t limit,
                                   std::chrono::milliseconds patience) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error::from_errno(errno, "make a pipe");
  const UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  // env looks for it in PATH.
  const pid_t pid = FP_TRY(
      spawn({.program = "/usr/bin/env", .args = command, .descriptors = {-1, to.get(), -1}}));
  const Ended ended(pid);
  to = UniqueFd();
  std::string output;
  std::array<char, 65536> block{};
  const BootTime deadline = BootClock::now() + patience;
  while (output.size() < limit) {
    const int64_t left = in_ms(deadline - BootClock::now());
    pollfd readable{.fd = from.get(), .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) == 0) {
      return Error{Errc::Timeout, "'" + command[0] + "' took too long"};
    }
    const ssize_t n =
        ::read(from.get(), block.data(), std::min(block.size(), limit - output.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "read what '" + command[0] + "' prints");
    if (n == 0) break;
    output.append(block.data(), static_cast<size_t>(n));
  }
  if (!output.empty()) return output;
  return Error{Errc::NotFound, "'" + command[0] + "' is missing or printed nothing"};
}

}  // namespace fieldpost::cli
