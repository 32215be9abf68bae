// SPDX-License-Identifier: Apache-2.0
#include "supervisor/throwaway_host.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <utility>

#include "base/seqpacket.hpp"
#include "base/spawn.hpp"
#include "supervisor/exit_reason.hpp"
#include "supervisor/start_host.hpp"

namespace fieldpost {
namespace {

// True if `fd` is ready before `deadline`.
bool ready(int fd, short events, BootTime deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - BootClock::now());
    if (left.count() <= 0) return false;
    pollfd watched{fd, events, 0};
    const int n = ::poll(&watched, 1, static_cast<int>(left.count()));
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) return false;
  }
}

}  // namespace

Result<ThrowawayHost> ThrowawayHost::start(const std::string& plugin_host, const std::string& verb,
                                           const std::string& file, const std::string& user) {
  auto [ours, theirs] = FP_TRY(make_seqpacket_pair());
  auto pid = start_host(plugin_host, verb, file, -1, theirs.get(), user);
  // Not NotFound, which means that the plugin is not installed.
  if (!pid) {
    return Error{Errc::Io, "cannot start the program that runs plugins (--plugin-host): " +
                               pid.error().message};
  }
  return ThrowawayHost(*pid, std::move(ours));
}

ThrowawayHost::ThrowawayHost(pid_t pid, UniqueFd socket)
    : pid_(pid),
      ended_(open_pidfd(pid).value_or(UniqueFd())),
      socket_(std::move(socket)),
      buffer_(kMaxDatagram) {}

ThrowawayHost::ThrowawayHost(ThrowawayHost&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      ended_(std::move(other.ended_)),
      socket_(std::move(other.socket_)),
      sequence_(other.sequence_),
      decoder_(std::move(other.decoder_)),
      buffer_(std::move(other.buffer_)) {}

ThrowawayHost::~ThrowawayHost() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  (void)reap();
}

Result<> ThrowawayHost::send(const message::Any& message, BootTime deadline) {
  std::vector<std::vector<std::byte>> frames;
  FP_CHECK_OK(message::encode(message, sequence_, frames));
  for (const auto& frame : frames) {
    for (;;) {
      const auto sent = send_datagram(socket_.get(), frame, false);
      if (sent || sent.error().code == Errc::Unavailable) break;
      if (sent.error().code != Errc::Full) return sent.error();
      if (!ready(socket_.get(), POLLOUT, deadline)) return Error{Errc::Timeout, "it does not read"};
    }
  }
  return {};
}

Result<std::optional<message::Any>> ThrowawayHost::next(BootTime deadline) {
  for (;;) {
    if (!ready(socket_.get(), POLLIN, deadline)) return Error{Errc::Timeout, "it says nothing"};
    const auto frame = FP_TRY(receive_datagram(socket_.get(), buffer_, false));
    if (frame.empty()) return std::optional<message::Any>();
    auto message = FP_TRY(decoder_.feed(frame));
    if (message) return message;
  }
}

std::optional<std::string> ThrowawayHost::wait(BootTime deadline) {
  if (!ready(ended_.get(), POLLIN, deadline)) return std::nullopt;
  return reap();
}

std::string ThrowawayHost::reap() {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 &&
         errno == EINTR) {
  }
  ::kill(-pid_, SIGKILL);  // what the plugin started; the group is its own until it is reaped
  (void)::waitid(P_PID, static_cast<id_t>(pid_), nullptr, WEXITED);
  pid_ = -1;
  return exit_reason(info);
}

}  // namespace fieldpost
