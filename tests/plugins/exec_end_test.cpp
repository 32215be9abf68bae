// SPDX-License-Identifier: Apache-2.0
//
// exec: what a program is given, and that nothing of it is left.
#include <fcntl.h>
#include <fieldpost/plugin.hpp>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "exec_script.hpp"

namespace exec {
namespace {

class ExecEnd : public ExecTest {};

TEST_F(ExecEnd, ItHasNothingOfOursButItsThreePipes) {
  const int leak = ::open("/dev/null", O_RDONLY);  // NOLINT: without O_CLOEXEC, as a library may
  ASSERT_LT(leak, 10);
  (void)signal(SIGUSR1, SIG_IGN);  // NOLINT(cert-err33-c)
  FakeHost host({{"command", script("ls /proc/$$/fd > " + path_of("fds") +
                                    "\ngrep -E 'SigBlk|SigIgn' /proc/self/status > " +
                                    path_of("signals") + "\nps -o pid=,pgid=,sid= -p $$ > " +
                                    path_of("ids") + "\nenv > " + path_of("env") + "\npwd > " +
                                    path_of("cwd") + "\necho '{\"n\": 1}'; exec sleep 60")},
                 {"cwd", "/usr"}},
                tables({}, {Row{{"name", "PORT"}, {"value", "a b"}}}));
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.number("n") == 1.0);
  (void)close(leak);
  (void)signal(SIGUSR1, SIG_DFL);  // NOLINT(cert-err33-c)
  std::istringstream list(content("fds"));
  std::set<std::string> fds;
  for (std::string fd; list >> fd;) fds.insert(fd);
  std::erase_if(fds, [](const std::string& fd) { return fd.size() > 1; });  // dash's own
  EXPECT_EQ(fds, (std::set<std::string>{"0", "1", "2"})) << "ours was " << leak;
  std::istringstream signals(content("signals"));
  for (std::string name, mask; signals >> name >> mask;) EXPECT_EQ(mask, std::string(16, '0'));
  std::istringstream ids(content("ids"));
  pid_t pid = 0, group = 0, session = 0;
  ids >> pid >> group >> session;
  EXPECT_NE(pid, 0);
  EXPECT_EQ(group, pid);
  EXPECT_EQ(session, pid);
  EXPECT_NE(content("env").find("\nPORT=a b\n"), std::string::npos);
  EXPECT_NE(content("env").find("FIELDPOST_EXEC_PROTOCOL=1\n"), std::string::npos);
  EXPECT_EQ(content("cwd"), "/usr\n");
}

// ---- Nothing is left.

TEST_F(ExecEnd, OneThatIgnoresSigtermIsKilled) {
  FakeHost host({{"command", script("trap '' TERM; echo $$ > " + path_of("pid") +
                                    "\necho '{\"n\": 1}'; while :; do sleep 1; done")}},
                tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.number("n") == 1.0);
  ASSERT_TRUE(is_alive(pid_in("pid")));
  const auto began = steady_clock::now();
  host.close();
  EXPECT_LT(steady_clock::now() - began, 5s) << "half a second, and what the machine takes";
  EXPECT_FALSE(is_alive(pid_in("pid")));
  EXPECT_TRUE(is_childless());
}

// What is in its group, what has a session of its own, and what has that and lost its parent.
constexpr const char* kLeavesThree =
    "sleep 300 & echo $! >> $0.pids\n"
    "setsid sleep 300 & echo $! >> $0.pids\n"
    "(setsid sh -c 'trap \"\" TERM; echo $$ >> '$0'.pids; while :; do sleep 1; done' &)\n"
    "while [ $(wc -l < $0.pids) -lt 3 ]; do sleep 0.05; done\n";

TEST_F(ExecEnd, WhatAProgramLeavesBehindIsEnded) {
  const std::string path =
      script(std::string(kLeavesThree) + "echo '{\"n\": 1}'; trap '' TERM; exec sleep 300");
  FakeHost host({{"command", path}}, tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EVENTUALLY(host, host.number("n") == 1.0);
  std::ifstream file(path + ".pids");
  std::vector<pid_t> pids;
  for (pid_t pid = 0; file >> pid;) pids.push_back(pid);
  ASSERT_EQ(pids.size(), 3U);
  for (const pid_t pid : pids) EXPECT_TRUE(is_alive(pid)) << pid;
  host.close();
  for (const pid_t pid : pids) EXPECT_FALSE(is_alive(pid)) << pid;
  EXPECT_TRUE(is_childless());
}

TEST_F(ExecEnd, ARunIsOverWhenTheProgramIsWhateverItLeft) {
  const std::string path = script(std::string(kLeavesThree) + "echo '{\"n\": 1}'");
  FakeHost host({{"command", path}, {"mode", "poll"}}, tables());
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK);
  ASSERT_EVENTUALLY(host, host.number("n") == 1.0);
  ASSERT_EVENTUALLY(host, is_childless());
  std::ifstream file(path + ".pids");
  for (pid_t pid = 0; file >> pid;) EXPECT_FALSE(is_alive(pid)) << pid;
  EXPECT_EQ(host.poll(), FP_OK) << "its run was a good one";
}

}  // namespace
}  // namespace exec
