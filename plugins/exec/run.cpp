// SPDX-License-Identifier: Apache-2.0
#include "run.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace exec {

void watch(const Fd& epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

Run::Run(const ProgramSpec& spec, const Fd& epoll, int64_t now) : Run(start(spec), epoll, now) {}

Run::Run(Started started, const Fd& epoll, int64_t now)
    : epoll_(epoll),
      began_(now),
      last_line_(now),
      program_(started.pid),
      in_(std::move(started.in)),
      out_(std::move(started.out), kOutput),
      err_(std::move(started.err), kErrors) {}

void Run::serve(int64_t now, const Lines::Sink& on_line, const Lines::Sink& on_error) {
  const Lines::Sink noted = [&](std::string_view line, bool whole) {
    last_line_ = now;
    on_line(line, whole);
  };
  out_.read(now, noted);
  err_.read(now, on_error);
  if (!out_.is_open() && !closed_) closed_ = now;
  program_.look(now);
  if (!program_.has_exited()) return;
  out_.read_rest(noted);
  err_.read_rest(on_error);
}

std::optional<int64_t> Run::arm() {
  watch_while_readable(out_, watching_out_);
  watch_while_readable(err_, watching_err_);
  std::optional<int64_t> next;
  for (const auto& when : {program_.next_look(), out_.resume_at(), err_.resume_at()}) {
    if (when) next = std::min(*when, next.value_or(*when));
  }
  return next;
}

// A pipe that may not be read now must not wake us up. One that is closed is forgotten by itself.
void Run::watch_while_readable(const Lines& lines, bool& watching) const {
  const bool wanted = lines.is_open() && !lines.resume_at();
  if (wanted && !watching) watch(epoll_, lines.fd());
  if (!wanted && watching && lines.is_open()) {
    (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, lines.fd(), nullptr);
  }
  watching = wanted;
}

void Run::stop(int64_t now, const std::string& why) {
  if (!stopped_.empty()) return;
  stopped_ = why;
  program_.end(now);
}

bool Run::write(const std::string& text, size_t& written) {
  while (written < text.size()) {
    const ssize_t n = ::write(in_.get(), text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    written += static_cast<size_t>(n);
  }
  return true;
}

std::string Run::failure() const {
  if (!stopped_.empty()) return stopped_;
  return program_.failure().empty() ? "" : "the program ended with " + program_.failure();
}

}  // namespace exec
