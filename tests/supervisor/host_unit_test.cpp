// SPDX-License-Identifier: Apache-2.0
//
// A host that systemd starts: here a listener in its place, which starts a plugin-host for each
// connection, one at a time, as a socket unit with Accept=yes and MaxConnections=1 does.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <optional>

#include "watched_host.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using test::puppet;
using test::Watched;

class HostUnitTest : public test::HostProcessTest {
 protected:
  void SetUp() override {
    HostProcessTest::SetUp();
    listener_ = bound(SOCK_SEQPACKET, path_);
    notified_ = bound(SOCK_DGRAM, folder_ / "notify");
    ASSERT_EQ(::listen(listener_.get(), 5), 0);
    auto source = loop_->on_readable(listener_.get(), [this] { accept(); });
    ASSERT_TRUE(source);
    accepts_ = *std::move(source);
  }
  void TearDown() override {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    EXPECT_TRUE(until([&] { return pid_ < 0; })) << "a host was left behind";
  }

  std::unique_ptr<Watched> run(const InstanceConfig& config, HostProcess::Timing timing = {}) {
    auto watched = std::make_unique<Watched>(*loop_, "/nowhere", test::plugin_path("puppet"),
                                             config, timing, HostLink::Limits{}, path_);
    watched->host.start();
    return watched;
  }

  // What the host has told systemd since the last time.
  int beats() const {
    int count = 0;
    char text[64];
    for (ssize_t n = 0; (n = ::recv(notified_.get(), text, sizeof text, 0)) > 0; ++count) {
      EXPECT_EQ(std::string(text, static_cast<size_t>(n)), "WATCHDOG=1");
    }
    return count;
  }

  test::TempDir folder_;
  std::string path_ = folder_ / "host.sock";
  pid_t pid_ = -1;
  int started_ = 0;

 private:
  static UniqueFd bound(int type, const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  void accept() {
    const UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket || pid_ > 0) return;  // one too many is closed
    const auto pid = spawn({.program = test::plugin_host(),
                            .args = {"run", test::plugin_path("puppet")},
                            .descriptors = {-1, -1, -1, socket.get()},
                            .environment = std::vector<std::string>{
                                "WATCHDOG_USEC=60000", "NOTIFY_SOCKET=" + (folder_ / "notify")}});
    ASSERT_TRUE(pid);
    ++started_;
    pid_ = *pid;
    auto source = loop_->on_exit(pid_, [this](const siginfo_t&) {
      pid_ = -1;
      exit_ = Source();
    });
    ASSERT_TRUE(source);
    exit_ = *std::move(source);
  }
  UniqueFd listener_, notified_;
  Source accepts_, exit_;
};

TEST_F(HostUnitTest, GoesUpBringsSamplesAndEndsInOrder) {
  auto w = run(puppet("good", 2, 20ms));
  ASSERT_TRUE(until([&] { return w->samples >= 10; }));
  EXPECT_TRUE(w->is(HostState::Up));
  EXPECT_EQ(w->host.status().pid, -1) << "it is not ours to know";
  EXPECT_TRUE(w->host.status().confinement);
  stop(*w);
  EXPECT_EQ(w->reason(), "");
  EXPECT_TRUE(until([&] { return pid_ < 0; })) << "no signal was needed";
  EXPECT_FALSE(w->was(HostState::Backoff));
}

TEST_F(HostUnitTest, ComesBackWhenItIsKilled) {
  auto w = run(puppet("good", 1, 20ms), {.first_pause = 20ms});
  ASSERT_TRUE(until([&] { return w->samples > 0; }));
  ::kill(pid_, SIGKILL);
  ASSERT_TRUE(until([&] { return w->was(HostState::Backoff); }));
  EXPECT_EQ(w->reason(), "its unit ended; the journal of that says why");
  ASSERT_TRUE(until([&] { return w->is(HostState::Up) && started_ == 2; }));
  stop(*w);
}

TEST_F(HostUnitTest, OneThatHangsIsLeftToItsWatchdogAndNoSecondMeetsIt) {
  InstanceConfig config = puppet("hang", 1, 20ms);
  config.deadline = 200ms;
  auto w = run(config, {.ping = 100ms, .first_pause = 20ms, .longest_pause = 50ms});
  ASSERT_TRUE(until([&] { return w->was(HostState::Backoff); }));
  EXPECT_EQ(w->reason().substr(0, 5), "hung:");
  // More often than it might crash: that it is not let in yet is no fault of it.
  ASSERT_TRUE(until([&] { return w->host.status().starts > 10 && w->is(HostState::Backoff); }));
  EXPECT_EQ(started_, 1) << "the old one has the bus still";
  EXPECT_EQ(w->reason().substr(0, 5), "hung:") << "not hidden by what follows from it";
  ::kill(pid_, SIGKILL);  // as the watchdog of its unit would
  ASSERT_TRUE(until([&] { return started_ == 2; }));
  EXPECT_FALSE(w->was(HostState::Degraded));
  w->host.stop();
  EXPECT_TRUE(until([&] { return w->is(HostState::Down); }));
}

// Its successor may be on another socket, where nothing keeps it from the bus.
TEST_F(HostUnitTest, OneThatIsStoppedWithoutItsEndIsSaid) {
  constexpr const char* kWords = "the plugin's unit may still hold its bus until its watchdog";
  auto w = run(puppet("hang", 1, 20ms), {.grace = 50ms});
  ASSERT_TRUE(until([&] { return pid_ > 0 && test::is_hanging(pid_); }));
  testing::internal::CaptureStderr();
  stop(*w);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find(kWords), std::string::npos) << log;
  ::kill(pid_, SIGKILL);
  ASSERT_TRUE(until([&] { return pid_ < 0; }));

  auto good = run(puppet("good", 1, 20ms));
  ASSERT_TRUE(until([&] { return good->is(HostState::Up); }));
  testing::internal::CaptureStderr();
  stop(*good);
  EXPECT_EQ(testing::internal::GetCapturedStderr().find(kWords), std::string::npos);
}

TEST_F(HostUnitTest, ItsWatchdogHearsOfItWhileItReturnsFromCalls) {
  InstanceConfig config = puppet("good", 1, 0s);  // never polled: it wakes up for this alone
  auto w = run(config);
  int heard = 0;
  EXPECT_TRUE(until([&] { return (heard += beats()) >= 3; }));
  stop(*w);
  ASSERT_TRUE(until([&] { return pid_ < 0; }));
  beats();

  config = puppet("hang", 1, 20ms);
  config.deadline = 400ms;
  auto hung = run(config, {.ping = 100ms, .first_pause = 10s});
  ASSERT_TRUE(until([&] { return pid_ > 0 && test::is_hanging(pid_); }));
  beats();
  ASSERT_TRUE(until([&] { return hung->was(HostState::Backoff); }));
  EXPECT_EQ(beats(), 0);
  ::kill(pid_, SIGKILL);
}

// Each returns in time, and all of them together take longer than the watchdog waits.
TEST_F(HostUnitTest, ItsWatchdogHearsOfItBetweenCallsInARow) {
  InstanceConfig config = puppet("good", 1, 0s);
  config.sections[0].values["nap"] = 0.03;
  auto w = run(config);
  ASSERT_TRUE(until([&] { return w->is(HostState::Up); }));
  beats();
  for (uint64_t id = 1; id <= 12; ++id) ASSERT_TRUE(w->host.call({id, 1, {}}));
  ASSERT_TRUE(until([&] { return w->outcomes.size() == 12; }));
  EXPECT_GE(beats(), 10);
  stop(*w);
}

TEST_F(HostUnitTest, ItsWatchdogHearsOfItWhileTheAgentDoesNotRead) {
  auto socket = connect_seqpacket(path_);
  ASSERT_TRUE(socket);
  uint64_t sequence = 0;
  std::vector<std::vector<std::byte>> frames;
  ASSERT_TRUE(message::encode(message::Configure{puppet("flood", 1, 20ms)}, sequence, frames));
  for (const auto& frame : frames) ASSERT_TRUE(send_datagram(socket->get(), frame, true));
  int heard = 0;  // all but a few from inside one poll, which never ends
  EXPECT_TRUE(until([&] { return (heard += beats()) >= 20; })) << heard;
  *socket = UniqueFd();
}

TEST_F(HostUnitTest, SaysWhereNobodyListens) {
  std::filesystem::remove(path_);
  auto w = run(puppet("good"), {.first_pause = 10ms, .longest_pause = 20ms});
  ASSERT_TRUE(until([&] { return w->host.status().starts > 10 && w->is(HostState::Backoff); }))
      << "it waits for its socket, however long that takes";
  EXPECT_EQ(w->reason(), "the plugin's unit is out of reach: connect to '" + path_ +
                             "': No such file or directory");
  w->host.stop();
  EXPECT_TRUE(w->is(HostState::Down));
}

TEST_F(HostUnitTest, WhatItRefusesIsSaid) {
  auto w = run(puppet("invalid"));
  ASSERT_TRUE(until([&] { return w->is(HostState::Failed); })) << w->reason();
  EXPECT_NE(w->reason(), "its unit ended; the journal of that says why");
  w->host.stop();
}

}  // namespace
}  // namespace fieldpost
