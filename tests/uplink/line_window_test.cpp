// SPDX-License-Identifier: Apache-2.0
#include "uplink/line_window.hpp"

#include <gtest/gtest.h>

#include <deque>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

// A line that carries so many bytes a second, one after the other, and takes a while for each.
struct Simulated {
  double bytes_per_second;
  double delay;
  double now = 0;
  double free = 0;  // when it has carried what it has
  struct Message {
    double sent, acknowledged;
    int64_t queued, bytes;
  };
  std::deque<Message> on_their_way;
  int64_t queued = 0;

  // Keeps the window full for a while; the longest queue, in seconds, of its second half.
  double run(LineWindow& window, double seconds) {
    double longest = 0;
    for (const double end = now + seconds; now < end;) {
      while (queued == 0 || queued + window.array_bytes() <= window.bytes()) {
        const int64_t bytes = window.array_bytes();
        free = std::max(free, now) + static_cast<double>(bytes) / bytes_per_second;
        queued += bytes;
        on_their_way.push_back({now, free + delay, queued, bytes});
      }
      const Message m = on_their_way.front();
      on_their_way.pop_front();
      now = m.acknowledged;
      queued -= m.bytes;
      if (now > end - seconds / 2) longest = std::max(longest, now - m.sent - delay);
      window.on_acknowledged(nanoseconds(static_cast<int64_t>((now - m.sent) * 1e9)), m.queued,
                             m.bytes, m.queued);
    }
    return longest;
  }
};

TEST(LineWindow, OpensOnAQuickLine) {
  LineWindow window(1 << 20);
  EXPECT_EQ(window.bytes(), LineWindow::kLeast);
  Simulated line{.bytes_per_second = 10e6, .delay = 0.05};
  line.run(window, 1);
  EXPECT_EQ(window.bytes(), 1 << 20);
  EXPECT_EQ(window.array_bytes(), (1 << 20) / 4);
}

TEST(LineWindow, OpensThoughTheBrokerIsFarAway) {
  LineWindow window(1 << 20);
  Simulated line{.bytes_per_second = 10e6, .delay = 0.6};
  line.run(window, 20);
  EXPECT_EQ(window.bytes(), 1 << 20);
}

TEST(LineWindow, StaysAtOneMessageOnAVerySlowLine) {
  LineWindow window(1 << 20);
  Simulated line{.bytes_per_second = 2'000, .delay = 0.1};
  EXPECT_LT(line.run(window, 600), 8.1);  // 16 KB
  EXPECT_EQ(window.array_bytes(), LineWindow::kLeast);
}

TEST(LineWindow, KeepsTheQueueShortOnASlowLine) {
  LineWindow window(1 << 20);
  Simulated line{.bytes_per_second = 50'000, .delay = 0.1};
  EXPECT_LT(line.run(window, 60), 1.5);
  EXPECT_GT(window.bytes(), 20'000);
}

TEST(LineWindow, ClosesWhenTheLineBecomesSlow) {
  LineWindow window(1 << 20);
  Simulated line{.bytes_per_second = 10e6, .delay = 0.05};
  line.run(window, 1);
  line.bytes_per_second = 20'000;
  line.run(window, 120);
  EXPECT_LT(window.bytes(), 30'000);
  line.bytes_per_second = 10e6;
  line.run(window, 2);
  EXPECT_EQ(window.bytes(), 1 << 20);
}

TEST(LineWindow, NeverExceedsWhatIsAllowed) {
  LineWindow window(100'000);
  Simulated line{.bytes_per_second = 10e6, .delay = 0.05};
  line.run(window, 1);
  EXPECT_EQ(window.bytes(), 100'000);
  window.set_most(50'000);
  EXPECT_EQ(window.bytes(), 50'000);
}

}  // namespace
}  // namespace fieldpost
