// SPDX-License-Identifier: Apache-2.0
#include "supervisor/control.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

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

TEST(ControlServer, WaitsWhenThereIsNoDescriptorLeftInsteadOfSpinning) {
  const test::TempDir folder;
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop);
  ControlServer server(*loop, [](const Json&, ControlRight, bool*) { return Json{{"ok", true}}; });
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
