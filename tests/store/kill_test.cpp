// SPDX-License-Identifier: Apache-2.0
//
// kill -9 at a random moment: whatever the outbox had promised is found afterwards, to the bit, and
// nothing in halves. The two stages together: store_kill_test.cpp.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>
#include <set>

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "store_fixture.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using testing::sample;
using testing::TempDir;

constexpr int64_t kPerAppend = 6;

// Reading k of append i: made from the numbers alone, so that parent and child agree.
double value_of(int64_t append, int64_t k) {
  switch (k % 3) {
    case 0:
      return static_cast<double>(append) / 10;
    case 1:
      return std::sin(static_cast<double>(append * 31 + k));
    default:
      return static_cast<double>(append % 7);
  }
}

std::vector<DeviceSample> append_number(int64_t append) {
  std::vector<DeviceSample> samples;
  for (int64_t k = 0; k < kPerAppend; ++k) {
    samples.push_back(sample("d" + std::to_string(k % 2), append * 10 + k,
                             {{"a" + std::to_string(k), value_of(append, k)}},
                             CaptureTime::Base::Utc));
  }
  return samples;
}

void tell(int fd, int64_t number) {
  if (::write(fd, &number, sizeof number) != static_cast<ssize_t>(sizeof number)) ::_exit(2);
}

// The child: appends for ever, and says what is promised, as append or as row number.
[[noreturn]] void append_for_ever(const std::string& folder, int64_t first, int fd) {
  auto outbox = testing::open_outbox(folder, "boot", {.since_ms = 0, .offset_ms = 0});
  if (!outbox) ::_exit(3);
  for (int64_t i = first;; ++i) {
    if (!testing::append(*outbox, append_number(i))) ::_exit(4);
    tell(fd, i);
    // Every second row is sent and acknowledged: deletes ride along.
    if (i % 5 == 0) {
      auto chunks = outbox->fetch(item_id::kBeforeAll, 1000);
      if (!chunks) ::_exit(5);
      for (const Chunk& chunk : *chunks) {
        if (chunk.row % 2 == 0) (void)outbox->acknowledge(std::vector{chunk.row});
      }
    }
  }
}

using Child = void (*)(const std::string&, int64_t, int);

// Runs the child for a random while, kills it, and returns the last number it promised.
int64_t run_and_kill(Child child, const std::string& folder, int64_t first, std::mt19937& random) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return -1;
  UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  const pid_t pid = ::fork();
  if (pid == 0) child(folder, first, to.get());
  to = UniqueFd();
  // From the first promise on, so that a slow machine does not kill all of them while opening.
  int64_t last = first - 1;
  int64_t number = 0;
  const auto promises = static_cast<int64_t>(random() % 40);
  for (int64_t i = 0; i < promises; ++i) {
    if (::read(from.get(), &number, sizeof number) != sizeof number) break;
    last = number;
  }
  const auto until = BootClock::now() + std::chrono::microseconds(random() % 3000);
  while (BootClock::now() < until) {
  }
  ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
  while (::read(from.get(), &number, sizeof number) == sizeof number) last = number;
  return last;
}

// Of all that is found: each append whole or not at all, none missing but acknowledged rows.
void check(const std::string& folder, int64_t promised, bool with_deletes,
           std::set<std::pair<int64_t, int64_t>>* ret) {
  auto outbox = testing::open_outbox(folder, "boot", {.since_ms = 0, .offset_ms = 0});
  ASSERT_TRUE(outbox) << outbox.error().message;
  const auto chunks = outbox->fetch(item_id::kBeforeAll, 100'000'000);
  ASSERT_TRUE(chunks) << chunks.error().message;
  EXPECT_EQ(outbox->totals().damaged_rows, 0);
  std::set<std::pair<int64_t, int64_t>> found;
  for (const Chunk& chunk : *chunks) {
    for (const State& state : chunk.states) {
      const int64_t append = state.time_ms / 10;
      const int64_t k = state.time_ms % 10;
      ASSERT_EQ(state.points.size(), 1U);
      EXPECT_EQ(*state.points[0].attribute, "a" + std::to_string(k));
      EXPECT_EQ(*chunk.device, "d" + std::to_string(k % 2));
      const double value = std::get<double>(state.points[0].value);
      ASSERT_EQ(std::bit_cast<uint64_t>(value), std::bit_cast<uint64_t>(value_of(append, k)));
      ASSERT_TRUE(found.emplace(append, k).second) << "twice: " << append;
    }
  }
  std::map<int64_t, int64_t> counts;
  for (const auto& [append, k] : found) ++counts[append];
  for (const auto& [append, count] : counts) {
    // With deletes, one device's row of an append may be gone: half of it.
    ASSERT_TRUE(count == kPerAppend || (with_deletes && count == kPerAppend / 2)) << append;
  }
  for (int64_t append = 0; append <= promised; ++append) {
    ASSERT_TRUE(counts.contains(append)) << "promised, and not there: " << append;
  }
  *ret = std::move(found);
}

void kill_often(Child child, bool with_deletes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  TempDir dir;
  int64_t next = 0;
  std::set<std::pair<int64_t, int64_t>> found;
  for (int round = 0; round < (testing::long_tests() ? 300 : 15); ++round) {
    const int64_t promised = run_and_kill(child, dir.path(), next, random);
    ASSERT_NO_FATAL_FAILURE(check(dir.path(), promised, with_deletes, &found)) << round;
    if (!found.empty()) next = std::max(next, found.rbegin()->first + 1);
  }
  EXPECT_GT(next, 0);
}

TEST(Kill, LosesNothingThatTheOutboxPromised) { kill_often(append_for_ever, true); }

}  // namespace
}  // namespace fieldpost
