// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "fakes/test_env.hpp"

namespace fieldpost::test {

// A TCP port of 127.0.0.1 that nobody uses now.
uint16_t free_port();
bool is_listening(uint16_t port);

// A child that ends with the object, and with us. stdout and stderr go to `log`.
class Process {
 public:
  Process(std::vector<std::string> command, const std::string& log);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();  // SIGKILL

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  // Sends the signal and waits for the end.
  void end(int number);

 private:
  pid_t pid_ = -1;
};

// Runs a program to its end; throws if it fails.
void run(const std::vector<std::string>& command, const std::string& log);

}  // namespace fieldpost::test
