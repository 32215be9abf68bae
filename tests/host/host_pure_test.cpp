// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "base/unique_fd.hpp"
#include "host/line_log.hpp"
#include "host/packed_config.hpp"
#include "host/punctuality.hpp"
#include "host/schedule.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

constexpr BootTime kStart{1000s};

TEST(Schedule, KeepsItsSlotsHoweverLongACallTakes) {
  Schedule schedule(1, 100ms, kStart, 0ms);
  EXPECT_EQ(schedule.next()->when, kStart);
  EXPECT_EQ(schedule.answered(0, kStart + 30ms), 0u);
  EXPECT_EQ(schedule.next()->when, kStart + 100ms);
  EXPECT_EQ(schedule.answered(0, kStart + 199ms), 0u);
  EXPECT_EQ(schedule.next()->when, kStart + 200ms);
}

TEST(Schedule, SkipsAndCountsWhatItMissed) {
  Schedule schedule(1, 100ms, kStart, 0ms);
  EXPECT_EQ(schedule.answered(0, kStart + 350ms), 3u);  // 100, 200 and 300 ms
  EXPECT_EQ(schedule.next()->when, kStart + 400ms);
}

TEST(Schedule, ServesTheUnitThatWaitedLongest) {
  Schedule schedule(3, 100ms, kStart, 0ms);
  EXPECT_EQ(schedule.next()->unit, 0u);
  (void)schedule.answered(0, kStart + 150ms);  // slower than the interval
  EXPECT_EQ(schedule.next()->unit, 1u);
  (void)schedule.answered(1, kStart + 300ms);
  EXPECT_EQ(schedule.next()->unit, 2u);
}

TEST(Schedule, ASilentUnitIsProbedLessAndLessOften) {
  Schedule schedule(2, 100ms, kStart, 0ms);
  BootTime now = kStart;
  nanoseconds expected = 1s;
  for (int i = 0; i < 10; ++i) {
    schedule.silent(1, now);
    (void)schedule.answered(0, now + 24h);  // out of the way
    ASSERT_EQ(schedule.next()->unit, 1u);
    EXPECT_EQ(schedule.next()->when - now, expected);
    now = schedule.next()->when;
    expected = std::min<nanoseconds>(expected * 2, 60s);
  }
  EXPECT_EQ(expected, nanoseconds(60s));
}

TEST(Schedule, AUnitThatIsBackIsInItsSlotAgainAndHasMissedNothing) {
  Schedule schedule(1, 100ms, kStart, 0ms);
  schedule.silent(0, kStart);
  EXPECT_EQ(schedule.answered(0, kStart + 1s + 10ms), 0u);
  EXPECT_EQ(schedule.next()->when, kStart + 1100ms);
  schedule.silent(0, kStart + 1100ms);  // and its pauses are short again
  EXPECT_EQ(schedule.next()->when, kStart + 2100ms);
}

TEST(Schedule, ALongIntervalIsNotShortenedByProbing) {
  Schedule schedule(1, 5min, kStart, 0ms);
  schedule.silent(0, kStart);
  schedule.silent(0, kStart);
  EXPECT_EQ(schedule.next()->when, kStart + 5min);
}

TEST(Schedule, WithoutAnIntervalNothingIsDue) { EXPECT_FALSE(Schedule(3, 0s, kStart, 0s).next()); }

TEST(Schedule, BeginsAtOnceAndThenKeepsToItsPhase) {
  Schedule schedule(1, 100ms, kStart, 30ms);
  EXPECT_EQ(schedule.next()->when, kStart);
  EXPECT_EQ(schedule.answered(0, kStart + 1ms), 0u);
  EXPECT_EQ(schedule.next()->when, kStart + 130ms);  // 30 ms would be at once again
  EXPECT_EQ(schedule.answered(0, kStart + 131ms), 0u);
  EXPECT_EQ(schedule.next()->when, kStart + 230ms);
  EXPECT_EQ(schedule.answered(0, kStart + 500ms), 2u);  // 330 and 430
  EXPECT_EQ(schedule.next()->when, kStart + 530ms);
}

// A gateway that is up for less than the interval.
TEST(Schedule, APhaseThatIsStillToComeIsTheNextSlot) {
  Schedule schedule(1, 24h, BootTime(1min), 20h);
  (void)schedule.answered(0, BootTime(1min));
  EXPECT_EQ(schedule.next()->when, BootTime(20h));
}

// The phase where the wall clock shows whole multiples, whichever clock is ahead.
TEST(Schedule, AlignedItIsDueAtWholeMultiplesByTheWallClock) {
  for (const nanoseconds offset :
       {nanoseconds(1'700'000'123s), nanoseconds(-7s), nanoseconds(0s)}) {
    Schedule schedule(1, 15min, kStart, Schedule::phase_aligned(offset, 15min));
    EXPECT_EQ(schedule.next()->when, kStart);  // the first one
    (void)schedule.answered(0, kStart + 10ms);
    const nanoseconds wall = schedule.next()->when.time_since_epoch() + offset;
    EXPECT_EQ(wall % 15min, nanoseconds(0));
    EXPECT_GE(schedule.next()->when, kStart + 7min + 30s);
    EXPECT_LE(schedule.next()->when, kStart + 22min + 30s);
  }
}

TEST(Schedule, ASlotMovesWithTheClockThatIsSet) {
  Schedule schedule(2, 10s, kStart, 0s);
  (void)schedule.answered(0, kStart + 10ms);
  schedule.silent(1, kStart);  // waits for its pause, not for a slot
  const BootTime now = kStart + 2s;
  schedule.move_to(500us, now);  // what a clock that is read twice differs by
  EXPECT_EQ(schedule.next()->when, kStart + 10s);
  schedule.move_to(7s, now);  // slots at 1007, 1017: the nearest to 1010
  EXPECT_EQ(schedule.next()->when, kStart + 7s);
  schedule.move_to(2s, kStart + 4s);               // 1002 has passed
  EXPECT_EQ(schedule.next()->when, kStart + 10s);  // unit 1's
  EXPECT_EQ(schedule.next()->unit, 1u);
  schedule.move_to(2s, kStart + 13s);  // what is due is polled, however the clock is set
  (void)schedule.answered(1, kStart + 10s);
  EXPECT_EQ(schedule.next()->when, kStart + 12s);
}

TEST(Punctuality, IsToldOnceAMinuteOfThePollsSince) {
  PunctualityMeter meter(kStart);
  EXPECT_FALSE(meter.take(kStart + 60s)) << "nothing was polled";
  meter.add(kStart, kStart + 2ms, kStart + 50ms, 0);
  meter.add(kStart + 1s, kStart + 1s + 10ms, kStart + 1s + 20ms, 3);
  EXPECT_FALSE(meter.take(kStart + 59s));
  EXPECT_EQ(meter.take(kStart + 60s), (message::Punctuality{2, 3, 6ms, 10ms, 48ms}));
  meter.add(kStart + 61s, kStart + 61s, kStart + 62s, 0);
  EXPECT_FALSE(meter.take(kStart + 119s));
  EXPECT_EQ(meter.take(kStart + 120s), (message::Punctuality{1, 0, 0ms, 0ms, 1s}));
}

TEST(Schedule, TenInstancesOfOneIntervalDoNotFireTogether) {
  std::vector<nanoseconds> phases;
  for (int i = 0; i < 10; ++i) phases.push_back(Schedule::phase_of("plc-" + std::to_string(i), 1s));
  std::ranges::sort(phases);
  EXPECT_GE(phases.front(), 0s);
  EXPECT_LT(phases.back(), 1s);
  for (size_t i = 2; i < phases.size(); ++i) EXPECT_GT(phases[i] - phases[i - 2], 10ms);
  EXPECT_GT(phases.back() - phases.front(), 500ms);
  EXPECT_EQ(Schedule::phase_of("plc-1", 1s), Schedule::phase_of("plc-1", 1s));
}

std::string drained(int fd) {
  std::string text(1 << 20, '\0');
  const ssize_t n = ::read(fd, text.data(), text.size());
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return text;
}

TEST(LineLog, IsBoundedPrintableAndSaysWhatItDropped) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd out(ends[0]);
  const UniqueFd in(ends[1]);
  LineLog log(in.get());
  for (int i = 0; i < 60; ++i) log.write(0, "a\x1b\n", kStart);
  const std::string first = drained(out.get());
  EXPECT_EQ(std::ranges::count(first, '\n'), 50);
  EXPECT_EQ(first.substr(0, first.find('\n')), "<3>a\\x1b\\x0a");
  log.summarise(kStart + 500ms);
  EXPECT_EQ(drained(out.get()), "");
  log.summarise(kStart + 1s);
  EXPECT_EQ(drained(out.get()), "<4>10 lines dropped: more than 50 in a second\n");
}

TEST(LineLog, DropsRatherThanWaitsForAReader) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);  // a write beyond the pipe's room would block for ever
  const UniqueFd out(ends[0]);
  const UniqueFd in(ends[1]);
  LineLog log(in.get());
  BootTime now = kStart;
  for (int i = 0; i < 200; ++i) log.write(6, std::string(900, 'x'), now += 50ms);
  EXPECT_LE(drained(out.get()).size(), size_t{65'536});
}

// Two units with rows of two tables, which stand in the file as it happens.
InstanceConfig two_units() {
  InstanceConfig config;
  config.units = {1, 4};
  config.sections = {
      {0, "", {{"url", std::string("tcp://a")}, {"retry", true}}},
      {0, "unit", {{"address", 7.0}}},
      {1, "register", {{"attribute", std::string("a")}, {"table", std::string("url")}}},
      {1, "coil", {{"attribute", std::string("b")}}},
      {0, "unit", {{"address", 8.0}, {"empty", std::string()}}},
      {4, "register", {{"attribute", std::string("c")}, {"scale", 0.1}}},
      {1, "register", {{"attribute", std::string("d")}}},
  };
  return config;
}

std::string text_at(const PackedConfig& config, fp_section section, const char* option) {
  const auto value = config.get(section, option);
  if (!value || value->type != FP_STRING) return "no text";
  return {value->text.data, value->text.len};
}

TEST(PackedConfig, GivesBackEachOptionOfEachSection) {
  const InstanceConfig config = two_units();
  const PackedConfig packed(config);
  EXPECT_EQ(packed.sections(), 7u);
  EXPECT_EQ(packed.units(), config.units);
  EXPECT_EQ(text_at(packed, 0, "url"), "tcp://a");
  EXPECT_EQ(text_at(packed, 2, "table"), "url");  // a text that is also a name
  EXPECT_EQ(text_at(packed, 4, "empty"), "");
  EXPECT_EQ(packed.get(1, "address")->number, 7);
  EXPECT_EQ(packed.get(5, "scale")->number, 0.1);
  ASSERT_EQ(packed.get(0, "retry")->type, FP_BOOLEAN);
  EXPECT_EQ(packed.get(0, "retry")->boolean, 1u);
}

TEST(PackedConfig, KnowsWhatIsNotThere) {
  const PackedConfig packed(two_units());
  EXPECT_FALSE(packed.get(1, "url"));      // of another section
  EXPECT_FALSE(packed.get(0, "tcp://a"));  // a text, but no name
  EXPECT_FALSE(packed.get(0, "zzz"));
  EXPECT_FALSE(packed.get(99, "url"));
  EXPECT_EQ(packed.n_rows(2, "register"), 0u);
  EXPECT_EQ(packed.n_rows(0, "register"), 0u);
  EXPECT_EQ(packed.n_rows(0, "no such table"), 0u);
  EXPECT_EQ(packed.n_rows(0, ""), 0u);  // the first section is no row of itself
  EXPECT_FALSE(packed.row(1, "register", 2));
}

TEST(PackedConfig, KeepsRowsInTheOrderOfTheFile) {
  const PackedConfig packed(two_units());
  ASSERT_EQ(packed.n_rows(0, "unit"), 2u);
  EXPECT_EQ(packed.row(0, "unit", 0), 1u);
  EXPECT_EQ(packed.row(0, "unit", 1), 4u);
  ASSERT_EQ(packed.n_rows(1, "register"), 2u);
  EXPECT_EQ(packed.row(1, "register", 0), 2u);
  EXPECT_EQ(packed.row(1, "register", 1), 6u);
  EXPECT_EQ(packed.row(1, "coil", 0), 3u);
  EXPECT_EQ(packed.row(4, "register", 0), 5u);
}

}  // namespace
}  // namespace fieldpost
