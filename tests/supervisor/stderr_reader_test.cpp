// SPDX-License-Identifier: Apache-2.0
#include "supervisor/stderr_reader.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

// A plugin that prints ten times as much as is let through, for ten minutes.
TEST(StderrReader, AChattyPluginIsHeardNowAndThen) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd in(ends[1]);
  int lines = 0;
  int64_t dropped = 0;
  StderrReader reader(UniqueFd{ends[0]}, [&](log::Level level, const std::string& line) {
    ++lines;
    if (level == log::Level::Warning) dropped += std::stoll(line);
  });
  constexpr int kLines = 60'000;
  BootTime now(1h);
  for (int i = 0; i < kLines; ++i, now += 10ms) {
    ASSERT_EQ(::write(in.get(), "line\n", 5), 5);
    ASSERT_EQ(reader.read_some(now), 5);
  }
  reader.finish(now);
  // Those at once, 5 a second after them, and a line a second about the rest.
  EXPECT_GE(lines, 3'000);
  EXPECT_LE(lines, 100 + 600 * 6 + 1);
  EXPECT_GT(dropped, kLines - 100 - 600 * 6 - 1);
}

}  // namespace
}  // namespace fieldpost
