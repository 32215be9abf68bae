// SPDX-License-Identifier: Apache-2.0
//
// exec under test: shell scripts as its programs, and events served as the host does.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "base/temp_folder.hpp"
#include "fakes/fake_host.hpp"

namespace exec {

using fieldpost::fakes::FakeHost;
using fieldpost::fakes::Row;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

class ExecTest : public testing::Test {
 protected:
  // A shell script; `text` follows its first line.
  std::string script(const std::string& text) {
    const std::string path = folder_.path() + "/program" + std::to_string(++scripts_);
    std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
    (void)chmod(path.c_str(), 0755);
    return path;
  }
  std::string path_of(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string content(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(path_of(name)).rdbuf();
    return text.str();
  }

  // With a number n, a boolean b and a string s.
  static Row::Tables tables(std::vector<Row> commands = {}, std::vector<Row> env = {}) {
    Row::Tables rows{{"reading",
                      {Row{{"attribute", "n"}}, Row{{"attribute", "b"}, {"type", "boolean"}},
                       Row{{"attribute", "s"}, {"type", "string"}}}}};
    if (!commands.empty()) rows["command"] = std::move(commands);
    if (!env.empty()) rows["env"] = std::move(env);
    return rows;
  }

  // Serves events, as the host does, until the condition holds.
  static bool eventually(FakeHost& host, const std::function<bool()>& condition) {
    const auto deadline = steady_clock::now() + 20s;
    while (!condition()) {
      if (steady_clock::now() > deadline) return false;
      pollfd event{host.event_fd(), POLLIN, 0};
      if (::poll(&event, 1, 50) == 1 && host.on_event() != FP_OK) return false;
    }
    return true;
  }
  static bool logged(const FakeHost& host, const std::string& part) {
    return std::ranges::any_of(
        host.logs, [&](const auto& log) { return log.second.find(part) != std::string::npos; });
  }
  static size_t count_logged(const FakeHost& host, const std::string& part) {
    return static_cast<size_t>(std::ranges::count_if(
        host.logs, [&](const auto& log) { return log.second.find(part) != std::string::npos; }));
  }
  static std::string detail(const FakeHost& host, const char* attribute) {
    const auto reading = host.latest(attribute);
    return !reading ? "none" : reading->quality == FP_GOOD ? "good" : reading->detail;
  }
  // The process runs, and is no corpse either.
  static bool is_alive(pid_t pid) { return pid > 0 && kill(pid, 0) == 0; }
  pid_t pid_in(const std::string& name) const {
    return std::atoi(content(name).c_str());
  }  // NOLINT
  // No child of this process is left, alive or not.
  static bool is_childless() {
    siginfo_t any{};  // not waited for: that is the plugin's
    return waitid(P_ALL, 0, &any, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
  }

  fieldpost::TempFolder folder_ = *fieldpost::TempFolder::make();

 private:
  int scripts_ = 0;
};

#define ASSERT_EVENTUALLY(host, condition) \
  ASSERT_TRUE(eventually(host, [&] { return condition; })) << (host).trouble()

}  // namespace exec
