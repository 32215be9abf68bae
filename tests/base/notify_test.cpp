// SPDX-License-Identifier: Apache-2.0
#include "base/notify.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <string>

#include "base/unique_fd.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

// Process 1's end. With a leading '@' the name is an abstract one.
class Listener {
 public:
  explicit Listener(const std::string& name)
      : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, name.size());
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): one thread
  }
  ~Listener() { ::unsetenv("NOTIFY_SOCKET"); }  // NOLINT(concurrency-mt-unsafe)
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  // Empty: there is none.
  std::string next() const {
    std::array<char, 256> text{};
    const ssize_t n = ::recv(fd_.get(), text.data(), text.size(), 0);
    return {text.data(), n > 0 ? static_cast<size_t>(n) : 0};
  }

 private:
  UniqueFd fd_;
};

TEST(Notify, TellsWhoeverListens) {
  const test::TempDir folder;
  for (const std::string& name :
       {folder / "notify", "@fieldpost-notify-test-" + std::to_string(::getpid())}) {
    const Listener listener(name);
    EXPECT_TRUE(notify("READY=1\nSTATUS=all is well")) << name;
    EXPECT_EQ(listener.next(), "READY=1\nSTATUS=all is well");
  }
}

TEST(Notify, NobodyListens) {
  EXPECT_TRUE(notify("READY=1")) << "nobody is there to be told";
  const test::TempDir folder;
  ::setenv("NOTIFY_SOCKET", (folder / "none").c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  EXPECT_FALSE(notify("READY=1"));
  ::setenv("NOTIFY_SOCKET", std::string(200, 'x').c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  EXPECT_FALSE(notify("READY=1"));
  ::unsetenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe)
}

// One that waits does not come back: the test would run into its time limit.
TEST(Notify, AFullQueueHoldsNobodyUp) {
  const test::TempDir folder;
  const Listener listener(folder / "notify");
  constexpr int kMoreThanAnyQueue = 100'000;  // net.unix.max_dgram_qlen is 10 to 512
  int taken = 0;
  while (taken < kMoreThanAnyQueue && notify("WATCHDOG=1")) ++taken;
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, kMoreThanAnyQueue);
  EXPECT_EQ(listener.next(), "WATCHDOG=1");
  EXPECT_TRUE(notify("WATCHDOG=1")) << "there is room again";
}

}  // namespace
}  // namespace fieldpost
