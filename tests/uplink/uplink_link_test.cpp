// SPDX-License-Identifier: Apache-2.0
//
// A network of our own, whose only link can be pulled: nothing is acknowledged any more, by nobody.
// Runs in a network namespace, for which it needs root or user namespaces.
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "fakes/mqtt_server.hpp"
#include "uplink/harness.hpp"

namespace fieldpost::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = UplinkStatus::State;

bool set_loopback(bool up) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
  request.ifr_flags = up ? IFF_UP : 0;
  return ::ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

class UplinkLink : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    // Before there are threads.
    ours_ = ::unshare(CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    ours_ = ours_ && set_loopback(true);
  }
  void SetUp() override {
    if (!ours_) GTEST_SKIP() << "no network namespace may be made here";
  }
  static bool ours_;
};
bool UplinkLink::ours_ = false;

TEST_F(UplinkLink, ThatIsPulledIsNoticedWithinOneAndAHalfKeepalives) {
  const MqttServer server({});
  Harness harness(server.port());
  harness.options.keepalive = seconds(5);
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(set_loopback(false));
  // Nothing is sent but libmosquitto's question after a keepalive of silence.
  EXPECT_TRUE(harness.wait_words("the line is lost: nothing was acknowledged for"))
      << harness.reasons();
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(7'500 + 500));
  ASSERT_TRUE(set_loopback(true));
  harness.append(kGateway, 1);
  EXPECT_TRUE(harness.all_acknowledged()) << harness.reasons();
}

TEST_F(UplinkLink, ThatIsPulledUnderLoadIsNoticedSooner) {
  MqttServer server({});
  Harness harness(server.port());
  harness.options.keepalive = seconds(10);
  harness.start();
  ASSERT_TRUE(harness.wait_state(State::Connected)) << harness.reasons();
  ASSERT_TRUE(set_loopback(false));
  const auto before = std::chrono::steady_clock::now();
  harness.append(kGateway, 1);
  EXPECT_TRUE(harness.wait_words("the line is lost: nothing was acknowledged for 3.0 s"))
      << harness.reasons();
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(6));
  ASSERT_TRUE(set_loopback(true));
  EXPECT_TRUE(harness.all_acknowledged()) << harness.reasons();
}

}  // namespace
}  // namespace fieldpost::test
