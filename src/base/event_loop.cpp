// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.hpp"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/unique_fd.hpp"

namespace fieldpost {
namespace {

using Callback = std::function<void()>;
using ExitCallback = std::function<void(const siginfo_t&)>;
constexpr uint64_t kAccuracyUsec = 10'000;

Error sd_error(int r, std::string_view what) { return Error::from_errno(-r, what); }

// Hands a heap-allocated callable to sd_event, which frees it after the last dispatch.
template <class F>
Result<Source> adopt(int r, sd_event_source* raw, std::unique_ptr<F> callback, Priority priority,
                     std::string_view what) {
  if (r < 0) return sd_error(r, what);
  Source source(raw);
  r = sd_event_source_set_destroy_callback(raw, [](void* p) { delete static_cast<F*>(p); });
  if (r < 0) return sd_error(r, what);
  (void)callback.release();  // sd_event owns it from here on
  r = sd_event_source_set_priority(raw, static_cast<int64_t>(priority));
  if (r < 0) return sd_error(r, what);
  return source;
}

struct Periodic {
  uint64_t period_usec;
  uint64_t due_usec;
  Callback callback;
};

}  // namespace

void block_signals(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : signals) sigaddset(&set, s);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, nullptr);
}

Result<EventLoop> EventLoop::create() {
  sd_event* event = nullptr;
  if (const int r = sd_event_new(&event); r < 0) return sd_error(r, "sd_event_new");
  return EventLoop(event);
}

Result<Source> EventLoop::on_fd(int fd, uint32_t events, Callback callback, Priority priority) {
  auto held = std::make_unique<Callback>(std::move(callback));
  sd_event_source* raw = nullptr;
  const int r = sd_event_add_io(
      event_.get(), &raw, fd, events,
      [](sd_event_source*, int, uint32_t, void* p) noexcept {
        return (*static_cast<Callback*>(p))(), 0;
      },
      held.get());
  return adopt(r, raw, std::move(held), priority, "sd_event_add_io");
}

Result<Source> EventLoop::on_readable(int fd, Callback callback, Priority priority) {
  return on_fd(fd, EPOLLIN, std::move(callback), priority);
}

Result<Source> EventLoop::on_writable(int fd, Callback callback, Priority priority) {
  // epoll takes a descriptor once, and it may be watched for reading: so a duplicate.
  UniqueFd own(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!own) return Error::from_errno(errno, "duplicate a descriptor");
  auto source = on_fd(own.get(), EPOLLOUT, std::move(callback), priority);
  if (source) sd_event_source_set_io_fd_own(source->get(), 1);
  if (source) (void)own.release();
  return source;
}

Result<Source> EventLoop::after(std::chrono::microseconds delay, Callback callback,
                                Priority priority) {
  auto held = std::make_unique<Callback>(std::move(callback));
  sd_event_source* raw = nullptr;
  const int r = sd_event_add_time_relative(
      event_.get(), &raw, CLOCK_BOOTTIME, static_cast<uint64_t>(delay.count()), kAccuracyUsec,
      [](sd_event_source*, uint64_t, void* p) noexcept {
        return (*static_cast<Callback*>(p))(), 0;
      },
      held.get());
  return adopt(r, raw, std::move(held), priority, "sd_event_add_time");
}

Result<Source> EventLoop::every(std::chrono::microseconds period, Callback callback,
                                Priority priority) {
  auto held = std::make_unique<Periodic>();
  held->period_usec = static_cast<uint64_t>(period.count());
  held->callback = std::move(callback);
  uint64_t now = 0;
  if (const int r = sd_event_now(event_.get(), CLOCK_BOOTTIME, &now); r < 0) {
    return sd_error(r, "sd_event_now");
  }
  held->due_usec = now + held->period_usec;
  sd_event_source* raw = nullptr;
  const int r = sd_event_add_time(
      event_.get(), &raw, CLOCK_BOOTTIME, held->due_usec, kAccuracyUsec,
      [](sd_event_source* source, uint64_t planned_usec, void* p) noexcept {
        auto& self = *static_cast<Periodic*>(p);
        uint64_t now_usec = planned_usec;
        (void)sd_event_now(sd_event_source_get_event(source), CLOCK_BOOTTIME, &now_usec);
        // From the plan, not from now, so that the period does not drift; missed ones are skipped.
        while (self.due_usec <= now_usec) self.due_usec += self.period_usec;
        sd_event_source_set_time(source, self.due_usec);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        self.callback();  // last: it may destroy the source
        return 0;
      },
      held.get());
  return adopt(r, raw, std::move(held), priority, "sd_event_add_time");
}

Result<Source> EventLoop::on_signal(int signal, Callback callback) {
  auto held = std::make_unique<Callback>(std::move(callback));
  sd_event_source* raw = nullptr;
  const int r = sd_event_add_signal(
      event_.get(), &raw, signal,
      [](sd_event_source*, const signalfd_siginfo*, void* p) noexcept {
        return (*static_cast<Callback*>(p))(), 0;
      },
      held.get());
  return adopt(r, raw, std::move(held), Priority::Input, "sd_event_add_signal");
}

Result<Source> EventLoop::on_exit(pid_t pid, ExitCallback callback) {
  auto held = std::make_unique<ExitCallback>(std::move(callback));
  sd_event_source* raw = nullptr;
  const int r = sd_event_add_child(
      event_.get(), &raw, pid, WEXITED,
      [](sd_event_source*, const siginfo_t* si, void* p) noexcept {
        return (*static_cast<ExitCallback*>(p))(*si), 0;
      },
      held.get());
  return adopt(r, raw, std::move(held), Priority::Input, "sd_event_add_child");
}

Result<int> EventLoop::run() {
  const int r = sd_event_loop(event_.get());
  if (r < 0) return sd_error(r, "sd_event_loop");
  return r;
}

Result<bool> EventLoop::run_once(std::chrono::microseconds timeout) {
  const int r = sd_event_run(event_.get(), static_cast<uint64_t>(timeout.count()));
  if (r < 0) return sd_error(r, "sd_event_run");
  return r > 0;
}

}  // namespace fieldpost
