// SPDX-License-Identifier: Apache-2.0
//
// Runs modbus_server.py (Debian's pymodbus) for a test and talks to it. The server ends with its
// owner, whatever becomes of the test.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/spawn.hpp"
#include "base/unique_fd.hpp"

namespace fieldpost::fakes {

class ModbusServer {
 public:
  // `args` as the script takes them: {"--units", "1,2"}. Throws when it does not come up.
  explicit ModbusServer(std::vector<std::string> args) {
    const char* source = std::getenv("FIELDPOST_SOURCE_DIR");
    if (source == nullptr) throw std::runtime_error("FIELDPOST_SOURCE_DIR is not set");
    std::array<int, 2> in{}, out{};
    if (pipe2(in.data(), O_CLOEXEC) < 0 || pipe2(out.data(), O_CLOEXEC) < 0) {
      throw std::runtime_error("pipe");
    }
    const UniqueFd child_in(in[0]), child_out(out[1]);
    stdin_ = UniqueFd(in[1]);
    stdout_ = UniqueFd(out[0]);
    args.insert(args.begin(), {std::string(source) + "/tests/fakes/modbus_server.py", "--own"});
    // Debian's interpreter, which has Debian's pymodbus.
    const auto pid = spawn({"/usr/bin/python3", args, {in[0], out[1], STDERR_FILENO}});
    if (!pid) throw std::runtime_error(pid.error().message);
    pid_ = *pid;
    const std::string ready = line();
    if (!ready.starts_with("ready ")) throw std::runtime_error("modbus_server.py: " + ready);
    where_ = ready.substr(6);
  }
  ModbusServer(const ModbusServer&) = delete;
  ModbusServer& operator=(const ModbusServer&) = delete;
  ~ModbusServer() { stop(); }

  const std::string& port() const { return where_; }
  std::string url() const { return "tcp://127.0.0.1:" + where_; }

  // Runs one command of the script and returns its answer. Throws on "error".
  std::string tell(const std::string& command) {
    const std::string text = command + "\n";
    if (write(stdin_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      throw std::runtime_error("modbus_server.py is gone");
    }
    const std::string answer = line();
    if (answer.starts_with("error")) throw std::runtime_error(command + ": " + answer);
    return answer;
  }
  // At once, like a cable that is pulled.
  void stop() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  std::string line() {
    std::string text;
    for (char c = 0;;) {
      pollfd p{stdout_.get(), POLLIN, 0};
      if (poll(&p, 1, 20'000) != 1) throw std::runtime_error("modbus_server.py says nothing");
      if (read(stdout_.get(), &c, 1) != 1) throw std::runtime_error("modbus_server.py ended");
      if (c == '\n') return text;
      text += c;
    }
  }
  pid_t pid_ = -1;
  UniqueFd stdin_, stdout_;
  std::string where_;
};

}  // namespace fieldpost::fakes
