// SPDX-License-Identifier: Apache-2.0
//
// The walls of a host, tried from inside by a plugin that wants out (plugins/hostile.cpp).
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "fakes/sanitizer.hpp"
#include "host/host_driver.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using test::HostDriver;
using Words = std::set<std::string>;

const Words kSignals{"signal", "owner", "owner_ex", "kill", "owner_ioctl", "owner_group"};
const Words kOpening{"read", "detour", "write", "plant", "empty", "rename"};
const Words kUnopened{"truncate", "chmod", "chown", "utimes", "attributes"};

Words operator+(Words a, const Words& b) {
  a.insert(b.begin(), b.end());
  return a;
}

Words words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// A process that cannot be looked into, as the agent.
class Victim {
 public:
  Victim() : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_DUMPABLE, 0);
    for (;;) ::pause();
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;
  ~Victim() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

class SandboxTest : public testing::Test {
 protected:
  // Root may look into anybody, which the agent's user may not.
  static void SetUpTestSuite() { (void)::prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0); }

  SandboxTest() {
    std::filesystem::create_directory(hidden_);
    std::ofstream(hidden_ + "/secret") << "secret";
    std::ofstream(hidden_ + "/spare") << "secret";
    std::filesystem::create_directory(open_);
    std::ofstream(open_ + "/secret") << "of the plugin's own";
  }

  InstanceConfig config(const Sandbox& sandbox, const std::string& mode = "run") {
    InstanceConfig config;
    config.name = "hostile";
    config.interval = 50ms;
    config.deadline = 10s;
    config.sandbox = sandbox;
    config.sections.push_back(
        {0,
         "",
         {{"pid", static_cast<double>(victim_.pid())}, {"folder", folder_}, {"mode", mode}}});
    return config;
  }

  // What the plugin got away with.
  Words run(const std::string& type, const Sandbox& sandbox) {
    HostDriver host("run", type);
    host.send(message::Configure{config(sandbox)});
    const auto confined = host.await<message::Confined>();
    in_force_ = confined ? confined->in_force : Confinement{};
    const auto samples = host.await<message::Samples>();
    if (!samples) {
      ADD_FAILURE() << type << " brought nothing: " << host.log();
      return {};
    }
    return words(std::get<std::string>(samples->samples[0].readings[0].value));
  }

  // Of what has nothing to do with files.
  Words calls(const std::string& type, const Sandbox& sandbox) {
    Words done = run(type, sandbox);
    std::erase_if(done, [](const std::string& w) { return (kOpening + kUnopened).contains(w); });
    return done;
  }

  test::TempDir dir_;
  std::string hidden_ = dir_ / "hidden", open_ = dir_ / "open";
  std::string folder_ = hidden_;
  Victim victim_;
  Confinement in_force_;
};

#define SKIP_WITHOUT_FILTERS() \
  if (::prctl(PR_GET_SECCOMP) < 0) GTEST_SKIP() << "this kernel (or emulator) has no seccomp"

TEST_F(SandboxTest, APluginCanDoWhatItsNeedsSayAndNoMore) {
  SKIP_WITHOUT_FILTERS();
  EXPECT_EQ(calls("hostile", {}), Words({"thread"}));
  EXPECT_TRUE(in_force_.calls);
  EXPECT_EQ(calls("hostile_network", {.needs = kNeedsDevices | kNeedsNetwork}),
            Words({"thread", "unix", "datagrams", "inet"}));
  EXPECT_EQ(calls("hostile_exec", {.needs = kNeedsExec}),
            Words({"thread", "exec", "fork"}) + kSignals);
}

TEST_F(SandboxTest, WithoutItAllOfThatIsPossible) {
  const Words done = calls("hostile", {.on = false});
  for (const char* what :
       {"thread", "early", "unix", "datagrams", "inet", "netlink", "exec", "fork"}) {
    EXPECT_TRUE(done.contains(what)) << what;
  }
  for (const std::string& what : kSignals) EXPECT_TRUE(done.contains(what)) << what;
  EXPECT_EQ(in_force_, Confinement{});
  // These walls are the victim's own.
  for (const char* what : {"memory", "copy", "trace"}) EXPECT_FALSE(done.contains(what)) << what;
}

TEST_F(SandboxTest, HiddenFilesAreOutOfReach) {
  const Words done = run("hostile", {.hidden = {hidden_, "/nowhere/else"}});
  if (!in_force_.files) GTEST_SKIP() << "this kernel has no Landlock";
  EXPECT_EQ(done, Words({"thread"}));
  EXPECT_FALSE(std::filesystem::exists(hidden_ + "/planted"));
}

TEST_F(SandboxTest, ProgramsMaySignalOnlyEachOtherWhereTheKernelSeesToThat) {
  const Words done = run("hostile_exec", {.needs = kNeedsExec, .hidden = {hidden_}});
  if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) < 6) {
    GTEST_SKIP() << "Landlock knows of signals since Linux 6.12";
  }
  EXPECT_FALSE(done.contains("signal"));
  for (const char* what : {"thread", "exec", "fork"}) EXPECT_TRUE(done.contains(what)) << what;
}

TEST_F(SandboxTest, WhatLiesBesideThemIsNot) {
  SKIP_WITHOUT_FILTERS();
  folder_ = open_;
  EXPECT_EQ(run("hostile", {.hidden = {hidden_}}), Words({"thread"}) + kOpening);
}

// Landlock has no say in these, so what is hidden is as open to them as what is not.
TEST_F(SandboxTest, WithoutProgramsAFileChangesOnlyByWayOfOpeningIt) {
  SKIP_WITHOUT_FILTERS();
  for (const uint32_t needs : {kNeedsDevices, kNeedsNetwork}) {
    const char* const type = needs == kNeedsNetwork ? "hostile_network" : "hostile";
    const Words done = run(type, {.needs = kNeedsDevices | needs});
    for (const std::string& what : kUnopened) EXPECT_FALSE(done.contains(what)) << what;
  }
  const Words done = run("hostile_exec", {.needs = kNeedsExec});
  for (const std::string& what : kUnopened) EXPECT_TRUE(done.contains(what)) << what;
}

TEST_F(SandboxTest, WithoutItHiddenFilesAreNot) {
  const Words done = run("hostile", {.on = false, .hidden = {hidden_}});
  for (const std::string& what : kOpening + kUnopened) EXPECT_TRUE(done.contains(what)) << what;
}

// It may read, but neither keep nor tell what it read.
TEST_F(SandboxTest, OneThatIsOnlyAskedIsConfinedWhateverItsConfigurationSays) {
  SKIP_WITHOUT_FILTERS();
  HostDriver host("check", "hostile_exec");
  host.send(message::Configure{config({.on = false, .needs = kNeedsExec}, "ask")});
  const auto problem = host.await<message::Problem>();
  ASSERT_TRUE(problem);
  EXPECT_EQ(words(problem->text), Words({"thread", "read", "detour"}));
}

TEST_F(SandboxTest, OneThatNeedsMoreThanIsKnownIsRefused) {
  HostDriver host("run", "hostile_network");
  host.send(message::Configure{config({.needs = kNeedsDevices})});
  const auto refused = host.await<message::Refused>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, message::Refused::Kind::Lasting);
  EXPECT_EQ(refused->reason,
            "it needs more than when the configuration was read (network, no programs); "
            "`fieldpost reload` reads it again");
}

#ifdef __x86_64__
// A kernel can be without them: then whoever tries is ended by SIGSEGV, filter or not.
bool kernel_has_i386_calls() {
  const pid_t child = ::fork();
  if (child == 0) {
    long ret = 20;  // getpid
    __asm__ volatile("int $0x80" : "+a"(ret) : : "memory");
    ::_exit(0);
  }
  int status = 0;
  // A sanitizer makes an exit of that signal.
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(SandboxTest, CallsOfAnotherArchitectureEndIt) {
  SKIP_WITHOUT_FILTERS();
  if (!kernel_has_i386_calls()) GTEST_SKIP() << "this kernel has no 32-bit calls";
  HostDriver host("run", "hostile");
  host.send(message::Configure{config({}, "i386")});
  EXPECT_EQ(host.exit_status(), -SIGSYS);
}
#endif

TEST_F(SandboxTest, ALeakEndsTheHostAndIsNamed) {
  if (test::is_sanitized()) GTEST_SKIP() << "a sanitizer's memory is not limited";
  HostDriver host("run", "hostile");
  host.send(message::Configure{config({.on = false}, "leak")});  // with a sandbox or without
  ASSERT_TRUE(host.await<message::Confined>());
  rlimit memory{};
  ASSERT_EQ(::prlimit(host.pid(), RLIMIT_AS, nullptr, &memory), 0);
  if (memory.rlim_max == RLIM_INFINITY) GTEST_SKIP() << "this emulator does not limit memory";
  const auto refused = host.await<message::Refused>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, message::Refused::Kind::Fault);
  EXPECT_EQ(refused->reason, "poll: std::bad_alloc");
  EXPECT_EQ(host.exit_status(), 1);
}

TEST_F(SandboxTest, EachHostHasItsLimits) {
  HostDriver host("run", "hostile");
  host.send(message::Configure{config({.on = false})});
  ASSERT_TRUE(host.await<message::Ready>());
  const std::pair<__rlimit_resource, rlim_t> expected[] = {
      {RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 256}, {RLIMIT_FSIZE, rlim_t{64} << 20}};
  for (const auto& [resource, value] : expected) {
    rlimit limit{};
    ASSERT_EQ(::prlimit(host.pid(), resource, nullptr, &limit), 0);
    EXPECT_EQ(limit.rlim_max, value) << resource;
  }
}

}  // namespace
}  // namespace fieldpost
