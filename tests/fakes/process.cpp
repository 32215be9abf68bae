// SPDX-License-Identifier: Apache-2.0
#include "fakes/process.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

#include "base/spawn.hpp"
#include "base/unique_fd.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost::test {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

pid_t start(std::vector<std::string> command, const std::string& log) {
  const UniqueFd out(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!out) throw std::runtime_error("open " + log);
  SpawnRequest request{.program = command.front(),
                       .args = {command.begin() + 1, command.end()},
                       .descriptors = {-1, out.get(), out.get()}};
  const auto pid = spawn(request);
  if (!pid) throw std::runtime_error(pid.error().message);
  return *pid;
}

}  // namespace

uint16_t free_port() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd.get(), raw, size) != 0 || ::getsockname(fd.get(), raw, &size) != 0) {
    throw std::runtime_error("no free port");
  }
  return ntohs(address.sin_port);
}

bool is_listening(uint16_t port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Process::Process(std::vector<std::string> command, const std::string& log)
    : pid_(start(std::move(command), log)) {}

Process::~Process() {
  if (pid_ > 0) end(SIGKILL);
}

void Process::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

void Process::end(int number) {
  if (pid_ <= 0) return;
  // Again and again: mosquitto forgets a signal that comes between listening and its main loop.
  const bool ended = eventually([&] {
    ::kill(pid_, number);
    return ::waitpid(pid_, nullptr, WNOHANG) == pid_;
  });
  if (!ended) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_ = -1;
}

void run(const std::vector<std::string>& command, const std::string& log) {
  int status = 0;
  const pid_t pid = start(command, log);
  if (::waitpid(pid, &status, 0) != pid || status != 0) {
    throw std::runtime_error(command.front() + " failed, see " + log);
  }
}

}  // namespace fieldpost::test
