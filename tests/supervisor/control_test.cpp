// SPDX-License-Identifier: Apache-2.0
#include "supervisor/control.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include "base/clock.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

// A connection that does not wait; closed if it was refused.
UniqueFd connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(fd.get(), raw, sizeof address) != 0) return {};
  return fd;
}

TEST(ListenUnix, TakesOverFromADeadServerOnly) {
  const test::TempDir folder;
  const std::string path = folder / "s";
  auto first = listen_unix(path, "");
  ASSERT_TRUE(first);
  EXPECT_EQ(listen_unix(path, "").error().code, Errc::Unavailable);
  *first = UniqueFd();
  EXPECT_TRUE(listen_unix(path, ""));
}

// It does not answer because it is stopped, or busy: it must not lose its socket to another.
TEST(ListenUnix, AServerWhoseQueueIsFullIsThere) {
  const test::TempDir folder;
  const std::string path = folder / "s";
  const auto first = listen_unix(path, "");
  ASSERT_TRUE(first);
  std::vector<UniqueFd> waiting;
  while (UniqueFd fd = connect_to(path)) waiting.push_back(std::move(fd));
  ASSERT_FALSE(waiting.empty());
  const auto second = listen_unix(path, "");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::Unavailable);
}

// A descriptor goes to the request it came with; what is too many is closed, not kept.
TEST(ControlServer, HandsOnADescriptor) {
  const test::TempDir folder;
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop);
  std::vector<UniqueFd> passed;
  ControlServer server(*loop, [&](const Json&, ControlRight, bool*, UniqueFd fd) {
    passed.push_back(std::move(fd));
    return Json{{"ok", true}};
  });
  auto listener = listen_unix(folder / "s", "");
  ASSERT_TRUE(listener);
  ASSERT_TRUE(server.serve(*std::move(listener), ControlRight::Read));
  const UniqueFd client = connect_to(folder / "s");
  std::array<std::array<int, 2>, 2> pipes{};
  for (auto& ends : pipes) ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const std::array<int, 2> both{pipes[0][1], pipes[1][1]};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof both)> space{};
  std::string request = "{}\n{}\n";
  iovec from{request.data(), request.size()};
  msghdr message{};
  message.msg_iov = &from;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  cmsghdr* const c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof both);
  std::memcpy(CMSG_DATA(c), both.data(), sizeof both);
  ASSERT_GT(::sendmsg(client.get(), &message, 0), 0);
  for (const int fd : both) ::close(fd);
  while (passed.size() < 2) ASSERT_TRUE(loop->run_once(10s).value());
  EXPECT_TRUE(passed[0]);
  EXPECT_FALSE(passed[1]) << "the second request brought none";
  char byte = 0;
  EXPECT_EQ(::read(pipes[0][0], &byte, 1), -1) << "somebody has it";
  EXPECT_EQ(::read(pipes[1][0], &byte, 1), 0) << "nobody has it";
  for (const auto& ends : pipes) ::close(ends[0]);
}

TEST(ControlServer, WaitsWhenThereIsNoDescriptorLeftInsteadOfSpinning) {
  const test::TempDir folder;
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop);
  ControlServer server(*loop, [](const Json&, ControlRight, bool*, const UniqueFd&) {
    return Json{{"ok", true}};
  });
  auto listener = listen_unix(folder / "s", "");
  ASSERT_TRUE(listener);
  ASSERT_TRUE(server.serve(*std::move(listener), ControlRight::Read));
  const UniqueFd client = connect_to(folder / "s");
  ASSERT_TRUE(client);
  const auto timer = loop->every(1h, [] {});  // the daemon has some: the loop's own descriptor
  ASSERT_TRUE(timer);

  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{3, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  int turns = 0;
  const BootTime end = BootClock::now() + 1s;
  while (BootClock::now() < end) turns += *loop->run_once(50ms) ? 1 : 0;
  EXPECT_LT(turns, 20);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);

  // The client is served as soon as there is room.
  ASSERT_GT(::send(client.get(), "{}\n", 3, MSG_NOSIGNAL), 0);
  char answer[64];
  const BootTime deadline = BootClock::now() + 5s;
  ssize_t n = -1;
  while (n < 0 && BootClock::now() < deadline) {
    ASSERT_TRUE(loop->run_once(20ms));
    n = ::recv(client.get(), answer, sizeof answer, 0);
  }
  EXPECT_EQ(std::string_view(answer, n > 0 ? static_cast<size_t>(n) : 0), "{\"ok\":true}\n");
}

}  // namespace
}  // namespace fieldpost
