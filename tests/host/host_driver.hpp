// SPDX-License-Identifier: Apache-2.0
//
// A real plugin-host with a test in the supervisor's place.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/seqpacket.hpp"
#include "base/spawn.hpp"
#include "base/unique_fd.hpp"
#include "fakes/test_env.hpp"
#include "model/message.hpp"

namespace fieldpost::test {

using namespace std::chrono_literals;

inline std::string plugin_host() { return build_dir() + "/libexec/plugin-host"; }
inline std::string plugin_dir() { return build_dir() + "/tests/plugins"; }
inline std::string plugin_path(const std::string& type) {
  return plugin_dir() + "/" + type + ".so";
}

// An instance of the puppet with n units. Without rows for units for n = 0.
inline InstanceConfig puppet(const std::string& mode, size_t n = 0, nanoseconds interval = 50ms) {
  InstanceConfig config;
  config.name = "puppet-" + mode;
  config.interval = interval;
  config.deadline = 10s;
  config.sandbox.needs = kNeedsExec;
  config.sections.push_back({0, "", {{"mode", mode}, {"nap", 0.0}}});
  if (n > 0) config.units.clear();
  for (size_t i = 0; i < n; ++i) {
    config.units.push_back(static_cast<uint32_t>(config.sections.size()));
    config.sections.push_back({0, "unit", {{"silent", false}}});
  }
  return config;
}

// What the puppet calls its process inside a call that takes its time ("napping") or never ends
// ("hanging").
inline bool is_named(pid_t pid, const std::string& name) {
  const auto found = read_file("/proc/" + std::to_string(pid) + "/comm", 64);
  return found && *found == name + "\n";
}
inline bool is_hanging(pid_t pid) { return is_named(pid, "hanging"); }

class HostDriver {
 public:
  HostDriver(const std::string& verb, const std::string& type) {
    auto pair = make_seqpacket_pair();
    socket_ = std::move(pair->first);
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
    log_ = UniqueFd(ends[0]);
    const UniqueFd log_in(ends[1]);
    const auto pid = spawn({.program = plugin_host(),
                            .args = {verb, plugin_path(type)},
                            .descriptors = {-1, -1, log_in.get(), pair->second.get()}});
    if (!pid) std::abort();
    pid_ = *pid;
    exited_ = *open_pidfd(pid_);
  }
  HostDriver(const HostDriver&) = delete;
  HostDriver& operator=(const HostDriver&) = delete;
  ~HostDriver() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }
  int socket() const { return socket_.get(); }
  void hang_up() { socket_ = UniqueFd(); }
  void terminate() const { ::kill(pid_, SIGTERM); }

  void send(const message::Any& message) {
    std::vector<std::vector<std::byte>> frames;
    (void)message::encode(message, sequence_, frames);
    for (const auto& frame : frames) (void)send_datagram(socket_.get(), frame, true);
  }

  // The next message; none at the end of file or after `patience`.
  std::optional<message::Any> receive(nanoseconds patience = 5s) {
    const BootTime deadline = BootClock::now() + patience;
    while (readable(socket_.get(), deadline)) {
      const auto frame = receive_datagram(socket_.get(), buffer_, false);
      if (!frame || frame->empty()) return std::nullopt;
      auto message = decoder_.feed(*frame);
      if (!message) return std::nullopt;
      if (*message) return *std::move(*message);
    }
    return std::nullopt;
  }

  // The next message of type M that `wanted` likes; others are dropped.
  template <class M>
  std::optional<M> await(
      const std::function<bool(const M&)>& wanted = [](const M&) { return true; },
      nanoseconds patience = 5s) {
    const BootTime deadline = BootClock::now() + patience;
    while (auto message = receive(deadline - BootClock::now())) {
      if (auto* m = std::get_if<M>(&*message); m != nullptr && wanted(*m)) return std::move(*m);
    }
    return std::nullopt;
  }

  // How it ended: none if it has not within `patience`.
  std::optional<siginfo_t> wait(nanoseconds patience) {
    if (!readable(exited_.get(), BootClock::now() + patience)) return std::nullopt;
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
    pid_ = -1;
    return info;
  }
  // The exit status; -signal if a signal killed it; -1000 if it has not ended.
  int exit_status(nanoseconds patience = 5s) {
    const auto info = wait(patience);
    if (!info) return -1000;
    return info->si_code == CLD_EXITED ? info->si_status : -info->si_status;
  }

  // What it has written to stderr so far.
  std::string log() {
    char block[4096];
    for (ssize_t n = 0; (n = ::read(log_.get(), block, sizeof block)) > 0;) {
      text_.append(block, static_cast<size_t>(n));
    }
    return text_;
  }

 private:
  static bool readable(int fd, BootTime deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - BootClock::now());
    pollfd watched{fd, POLLIN, 0};
    return left.count() > 0 && ::poll(&watched, 1, static_cast<int>(left.count())) == 1;
  }
  UniqueFd socket_, log_, exited_;
  pid_t pid_ = -1;
  uint64_t sequence_ = 0;
  message::Decoder decoder_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kMaxDatagram);
  std::string text_;
};

}  // namespace fieldpost::test
