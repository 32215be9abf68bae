// SPDX-License-Identifier: Apache-2.0
#include "base/clock_watch.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <fstream>
#include <iterator>

#include "base/clock.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

// A test cannot set the clock; what the kernel was asked for can be read.
TEST(ClockWatch, TheTimerEndsOnlyWhenTheClockIsSet) {
  const auto timer = ClockWatch::timer();
  ASSERT_TRUE(timer) << timer.error().message;
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(timer->get()));
  const std::string text(std::istreambuf_iterator<char>(info), {});
  EXPECT_NE(text.find("clockid: 0\n"), std::string::npos) << text;         // CLOCK_REALTIME
  EXPECT_NE(text.find("settime flags: 03\n"), std::string::npos) << text;  // absolute, cancel
  pollfd ready{timer->get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ready, 1, 0), 0);
}

TEST(ClockWatch, TellsOfEachTimeOnce) {
  EventLoop loop = *EventLoop::create();
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const int set = event.get();
  int told = 0;
  const auto watch = ClockWatch::create(loop, std::move(event), [&] { ++told; });
  ASSERT_TRUE(watch) << watch.error().message;
  EXPECT_FALSE(*loop.run_once(0us));
  for (int i = 1; i <= 2; ++i) {
    ::eventfd_write(set, 1);
    EXPECT_TRUE(*loop.run_once(1s));
    EXPECT_EQ(told, i);
    EXPECT_FALSE(*loop.run_once(0us));
  }
}

}  // namespace
}  // namespace fieldpost
