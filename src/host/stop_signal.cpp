// SPDX-License-Identifier: Apache-2.0
#include "host/stop_signal.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace fieldpost {
namespace {

constexpr unsigned kGraceSeconds = 1;

// A signal handler reaches nothing but globals.
volatile sig_atomic_t is_raised = 0;
std::atomic<int> event_fd{-1};
static_assert(std::atomic<int>::is_always_lock_free);

// Only what signal-safety(7) allows.
void on_stop(int) {
  const int saved = errno;
  if (is_raised == 0) {
    is_raised = 1;
    ::alarm(kGraceSeconds);
    const uint64_t one = 1;
    (void)!::write(event_fd.load(), &one, sizeof one);
  }
  errno = saved;
}

}  // namespace

Result<> StopSignal::install() {
  event_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd < 0) return Error::from_errno(errno, "eventfd");
  ::signal(SIGALRM, SIG_DFL);  // NOLINT(cert-err33-c): cannot fail for SIGALRM
  struct sigaction action {};
  action.sa_handler = on_stop;
  // A device call that the plugin is inside should end by itself, not with a surprising EINTR.
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  if (::sigaction(SIGTERM, &action, nullptr) != 0) return Error::from_errno(errno, "sigaction");
  return {};
}

bool StopSignal::raised() { return is_raised != 0; }
int StopSignal::fd() { return event_fd; }
void StopSignal::raise() { on_stop(SIGTERM); }

}  // namespace fieldpost
