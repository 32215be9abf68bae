// SPDX-License-Identifier: Apache-2.0
#include "cli/prompt.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iostream>
#include <string_view>

#include "base/unique_fd.hpp"

namespace fieldpost::cli {
namespace {

constexpr size_t kLongest = 4096;  // what a terminal hands over as one line

// No echo as long as it lives. Signals that would end the program meanwhile are held back and
// can be read from fd(): the terminal has to be put right before they act.
class Quiet {
 public:
  Quiet() {
    sigemptyset(&held_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&held_, signal);
    ::pthread_sigmask(SIG_BLOCK, &held_, &before_);
    fd_ = UniqueFd(::signalfd(-1, &held_, SFD_CLOEXEC));
    known_ = ::tcgetattr(STDIN_FILENO, &usual_) == 0;
    if (!known_) return;
    termios quiet = usual_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet.c_lflag |= ECHONL;
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
  }
  ~Quiet() {
    if (known_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &usual_);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);  // what is pending acts now
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
  int fd() const { return fd_.get(); }

 private:
  sigset_t held_{};
  sigset_t before_{};
  UniqueFd fd_;
  termios usual_{};
  bool known_ = false;
};

Result<std::string> read_line() {
  std::array<char, kLongest> block{};
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "read the answer");
    if (n == 0) return Error{Errc::Unavailable, "no answer"};
    std::string_view line(block.data(), static_cast<size_t>(n));
    constexpr std::string_view kBlank = " \t\r\n";
    const size_t first = line.find_first_not_of(kBlank);
    if (first == std::string_view::npos) return std::string();
    return std::string(line.substr(first, line.find_last_not_of(kBlank) + 1 - first));
  }
}

Result<std::string> read_quietly() {
  const Quiet quiet;
  std::array<pollfd, 2> waiting{{{STDIN_FILENO, POLLIN, 0}, {quiet.fd(), POLLIN, 0}}};
  while (::poll(waiting.data(), waiting.size(), -1) < 0) {
    if (errno != EINTR) return Error::from_errno(errno, "wait for the answer");
  }
  if (waiting[1].revents != 0) return Error{Errc::Unavailable, "no answer"};
  return read_line();
}

}  // namespace

bool is_somebody_there() { return ::isatty(STDIN_FILENO) == 1; }

Result<std::string> ask(const std::string& question, Echo echo) {
  std::cerr << question << std::flush;
  return echo == Echo::On ? read_line() : read_quietly();
}

}  // namespace fieldpost::cli
