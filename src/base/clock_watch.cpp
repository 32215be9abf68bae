// SPDX-License-Identifier: Apache-2.0
#include "base/clock_watch.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>
#include <ctime>
#include <limits>
#include <utility>

namespace fieldpost {
namespace {

// A timer as far away as can be, which is cancelled when the clock is set (timerfd_create(2)).
int arm(int fd) {
  itimerspec never{};
  never.it_value.tv_sec = std::numeric_limits<time_t>::max();
  return ::timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, nullptr);
}

}  // namespace

Result<UniqueFd> ClockWatch::timer() {
  UniqueFd fd(::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd || arm(fd.get()) != 0) return Error::from_errno(errno, "watch the system clock");
  return fd;
}

Result<ClockWatch> ClockWatch::create(EventLoop& loop, UniqueFd timer,
                                      std::function<void()> on_set) {
  const auto on_readable = [fd = timer.get(), on_set = std::move(on_set)] {
    uint64_t ignored = 0;
    // ECANCELED is the message. Anything else is worth a look at the clock, too.
    (void)!::read(fd, &ignored, sizeof ignored);
    (void)arm(fd);  // before the clock is read: a step that comes in between is told of again
    on_set();
  };
  Source source = FP_TRY(loop.on_readable(timer.get(), on_readable));
  return ClockWatch(std::move(timer), std::move(source));
}

}  // namespace fieldpost
