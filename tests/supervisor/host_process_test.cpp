// SPDX-License-Identifier: Apache-2.0
#include "supervisor/host_process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>

#include "watched_host.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using test::HostProcessTest;
using test::puppet;
using test::Watched;

// Polls every 50 ms; a busy machine may be late, but whoever waits for a hung neighbour is later.
void expect_no_gap(const Watched& w) {
  for (size_t i = 1; i < w.times.size(); ++i) {
    EXPECT_LT(w.times[i] - w.times[i - 1], nanoseconds(400ms));
  }
}

// So little that whoever floods exceeds it with the first few messages, however slowly a busy
// machine lets it send.
constexpr HostLink::Limits kTight = {.messages_per_second = 1,
                                     .messages_at_once = 100,
                                     .bytes_per_second = 1,
                                     .bytes_at_once = 64 << 10};

TEST_F(HostProcessTest, GoesUpBringsSamplesAndStops) {
  auto w = run_puppet(puppet("good", 2, 20ms));
  ASSERT_TRUE(until([&] { return w->samples >= 10; }));
  EXPECT_TRUE(w->is(HostState::Up));
  EXPECT_EQ(w->declaration.attributes.size(), 3u);
  EXPECT_EQ(w->units.size(), 2u);
  EXPECT_EQ(w->host.status().starts, 1);
  const BootTime asked = BootClock::now();
  stop(*w);
  EXPECT_LT(BootClock::now() - asked, nanoseconds(900ms));
  EXPECT_EQ(w->reason(), "");
  EXPECT_EQ(w->states, (std::vector{HostState::Starting, HostState::Up, HostState::Stopping,
                                    HostState::Down}));
}

TEST_F(HostProcessTest, AKilledHostIsBackWithinTwoSecondsAndItsNeighbourMissesNothing) {
  auto victim = run_puppet(puppet("good", 1, 50ms));
  auto neighbour = run_puppet(puppet("good", 1, 50ms));
  ASSERT_TRUE(until([&] { return victim->samples > 0 && neighbour->samples > 0; }));
  const pid_t first = victim->host.status().pid;
  const BootTime killed = BootClock::now();
  const size_t before = neighbour->times.size();
  ::kill(first, SIGKILL);
  ASSERT_TRUE(until([&] { return victim->was(HostState::Backoff); }));
  EXPECT_EQ(victim->reason(), "killed by signal 9 (Killed)");
  ASSERT_TRUE(until([&] { return victim->is(HostState::Up); }));
  EXPECT_LT(BootClock::now() - killed, nanoseconds(2s));
  EXPECT_NE(victim->host.status().pid, first);
  EXPECT_EQ(victim->host.status().starts, 2);
  EXPECT_EQ(victim->reason(), "");
  EXPECT_GT(neighbour->times.size(), before + 2);
  expect_no_gap(*neighbour);
}

// While another thread starts a program, that one has a copy of every descriptor for a moment, and
// closing ours does not take it out of the loop's epoll.
TEST_F(HostProcessTest, AnEndIsHarmlessWhileADescriptorIsOpenElsewhere) {
  auto w = run_puppet(puppet("good", 1, 20ms));
  ASSERT_TRUE(until([&] { return w->samples > 0; }));
  std::vector<UniqueFd> elsewhere;
  for (int fd = 3; fd < 256; ++fd) {
    struct stat st {};
    if (::fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) {
      elsewhere.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 256));
    }
  }
  ASSERT_GE(elsewhere.size(), 2u) << "the host's socket and its log";
  ::kill(w->host.status().pid, SIGKILL);
  ASSERT_TRUE(until([&] { return w->was(HostState::Backoff); }));
  ASSERT_TRUE(until([&] { return w->is(HostState::Up); }));
  stop(*w);
}

TEST_F(HostProcessTest, WhatAPluginStartedEndsWithItsHost) {
  auto w = run_puppet(puppet("parent", 1, 20ms));
  ASSERT_TRUE(until([&] { return !w->text.empty(); }));
  const pid_t child = std::stoi(w->text);
  const auto ended = open_pidfd(child);
  ASSERT_TRUE(ended);
  ::kill(w->host.status().pid, SIGKILL);
  pollfd watched{ended->get(), POLLIN, 0};
  EXPECT_TRUE(until([&] { return ::poll(&watched, 1, 0) == 1; }, 3s));
  if (::poll(&watched, 1, 0) != 1) ::kill(child, SIGKILL);
}

TEST_F(HostProcessTest, AHungHostIsReplacedAfterItsDeadline) {
  auto config = puppet("hang");
  config.deadline = 300ms;
  auto w = run_puppet(config, {.ping = 100ms});
  ASSERT_TRUE(until([&] { return w->is(HostState::Up); }));
  const BootTime up = BootClock::now();
  ASSERT_TRUE(until([&] { return w->was(HostState::Backoff); }));
  EXPECT_EQ(w->reason(), "hung: no answer for 300 ms");
  EXPECT_LT(BootClock::now() - up, nanoseconds(3s));
  EXPECT_GE(BootClock::now() - up, nanoseconds(300ms));
}

TEST_F(HostProcessTest, AStoppedHostIsReplacedToo) {
  auto config = puppet("good", 1, 20ms);
  config.deadline = 200ms;
  auto w = run_puppet(config, {.ping = 100ms});
  ASSERT_TRUE(until([&] { return w->samples > 0; }));
  ::kill(w->host.status().pid, SIGSTOP);
  ASSERT_TRUE(until([&] { return w->was(HostState::Backoff); }));
  EXPECT_EQ(w->reason(), "hung: no answer for 200 ms");
}

TEST_F(HostProcessTest, AQuietHostThatAnswersIsLeftAlone) {
  auto config = puppet("good", 1, 0ms);  // never polled: says nothing by itself
  config.deadline = 100ms;
  auto w = run_puppet(config, {.ping = 50ms});
  ASSERT_TRUE(until([&] { return w->is(HostState::Up); }));
  EXPECT_FALSE(until([&] { return !w->is(HostState::Up); }, 1s));
}

TEST_F(HostProcessTest, OneThatDoesNotOpenIsKilled) {
  for (const char* mode : {"hang-open", "hang-declare"}) {
    auto config = puppet(mode);
    config.deadline = 200ms;
    auto w = run_puppet(config, {.start = 200ms});
    ASSERT_TRUE(until([&] { return w->was(HostState::Backoff); })) << mode;
    EXPECT_EQ(w->reason().substr(0, 5), "hung:") << w->reason();
  }
}

TEST_F(HostProcessTest, CrashingTooOftenMeansLongPausesButNotTheEnd) {
  auto w =
      run_puppet(puppet("crash"),
                 {.first_pause = 10ms, .longest_pause = 50ms, .long_pause = 300ms, .exits = 3});
  ASSERT_TRUE(until([&] { return w->is(HostState::Degraded); }));
  EXPECT_EQ(w->host.status().starts, 4);
  EXPECT_EQ(w->reason(), "killed by signal 6 (Aborted)");
  EXPECT_GT(w->host.status().retry, BootClock::now() + 100ms);
  ASSERT_TRUE(until([&] { return w->is(HostState::Starting); }));  // tried again
  ASSERT_TRUE(until([&] { return w->is(HostState::Degraded); }));  // with one try, not four
  EXPECT_EQ(w->host.status().starts, 5);
  w->host.start();  // a person need not wait
  EXPECT_TRUE(w->is(HostState::Starting));
}

int count(const std::string& text, std::string_view line) {
  int found = 0;
  for (size_t at = 0; (at = text.find(line, at)) != std::string::npos; ++at) ++found;
  return found;
}

// A plugin that crashes for weeks must not fill the journal.
TEST_F(HostProcessTest, OneThatCrashesOftenGetsOneLineForEachEnd) {
  ::testing::internal::CaptureStderr();
  auto w = run_puppet(
      puppet("crash"),
      {.first_pause = 5ms, .longest_pause = 5ms, .long_pause = 5ms, .stable = 1min, .exits = 2});
  const bool crashed = until([&] { return w->host.status().starts == 6; });
  const std::string log = ::testing::internal::GetCapturedStderr();
  ASSERT_TRUE(crashed) << log;
  EXPECT_EQ(count(log, "info: puppet-crash: the plugin is up"), 3) << log;
  EXPECT_EQ(count(log, "the plugin ended and will"), 2) << log;
  EXPECT_EQ(count(log, "the plugin ends too often"), 3) << log;
}

TEST_F(HostProcessTest, OneThatStaysUpAfterAllIsSaidToBeUp) {
  ::testing::internal::CaptureStderr();
  auto config = puppet("good");
  config.deadline = 400ms;
  auto w = run_puppet(config, {.ping = 50ms,
                               .first_pause = 5ms,
                               .longest_pause = 5ms,
                               .long_pause = 5ms,
                               .stable = 2s,
                               .exits = 1});
  const auto is_up = [&] { return w->is(HostState::Up); };
  while (!w->was(HostState::Degraded) && until(is_up)) {
    ::kill(w->host.status().pid, SIGKILL);
    if (!until([&] { return !is_up(); })) break;
  }
  const bool back = until(is_up);
  const bool stayed = until([&] { return BootClock::now() - w->host.status().since > 3s; });
  const std::string log = ::testing::internal::GetCapturedStderr();
  ASSERT_TRUE(back && stayed) << log;
  EXPECT_EQ(count(log, "the plugin stays up"), 1) << log;
}

TEST_F(HostProcessTest, RefusalsAreFailedOrRetriedAfterTheirKind) {
  using S = HostState;
  const std::tuple<const char*, S, const char*> expected[] = {
      {"invalid", S::Failed, "this cannot work"},
      {"complain", S::Failed, "this mode is a complaint"},
      {"absent", S::Backoff, "no such device"},
      {"throw", S::Backoff, "thrown in the constructor"},
      {"leave", S::Backoff, "exit status 3"},
  };
  for (const auto& [mode, state, reason] : expected) {
    auto w = run_puppet(puppet(mode));
    ASSERT_TRUE(until([&, s = state] { return w->is(s); })) << mode;
    EXPECT_EQ(w->reason(), reason);
    w->host.stop();
    EXPECT_TRUE(w->is(S::Down));
  }
}

TEST_F(HostProcessTest, AnAbsentDeviceIsNoCrashHoweverOften) {
  auto w = run_puppet(puppet("absent"), {.first_pause = 5ms, .longest_pause = 10ms, .exits = 2});
  ASSERT_TRUE(until([&] { return w->host.status().starts >= 8; }));
  EXPECT_FALSE(w->was(HostState::Degraded));
}

TEST_F(HostProcessTest, AMissingPluginFailsAndIsTriedAgain) {
  Watched w(*loop_, test::plugin_host(), test::plugin_path("none"), puppet("good"),
            {.long_pause = 200ms});
  w.host.start();
  ASSERT_TRUE(until([&] { return w.is(HostState::Failed); }));
  EXPECT_NE(w.reason().find("No such file or directory"), std::string::npos) << w.reason();
  ASSERT_TRUE(until([&] { return w.host.status().starts == 2; }));
}

TEST_F(HostProcessTest, AProgramThatCannotBeStartedIsAnExit) {
  Watched w(*loop_, "/nowhere/plugin-host", test::plugin_path("puppet"), puppet("good"));
  w.host.start();
  EXPECT_TRUE(w.is(HostState::Backoff));
  EXPECT_NE(w.reason().find("/nowhere/plugin-host"), std::string::npos) << w.reason();
}

TEST_F(HostProcessTest, CallsAreAnsweredOnceWhateverHappens) {
  auto w = run_puppet(puppet("good", 1, 50ms));
  EXPECT_EQ(w->host.call({1, 0, {Value(1.0), std::nullopt}}).error().code, Errc::Unavailable);
  ASSERT_TRUE(until([&] { return w->is(HostState::Up); }));
  ASSERT_TRUE(w->host.call({2, 0, {Value(2.5), std::nullopt}}));
  ASSERT_TRUE(until([&] { return w->outcomes.size() == 1; }));
  EXPECT_EQ(w->outcomes[0].readback, Value(2.5));
  ASSERT_TRUE(w->host.call({3, 4, {}}));  // never ends
  ASSERT_TRUE(w->host.call({4, 0, {Value(2.5), std::nullopt}}));
  ::kill(w->host.status().pid, SIGKILL);
  ASSERT_TRUE(until([&] { return w->outcomes.size() == 3; }));
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_EQ(w->outcomes[i].id, i + 2);
    EXPECT_EQ(w->outcomes[i].status, message::Outcome::Status::Uncertain);
    EXPECT_TRUE(w->outcomes[i].reason.starts_with(
        "the plugin ended before it answered: killed by signal 9 (Killed)"))
        << w->outcomes[i].reason;
  }
  EXPECT_FALSE(w->is(HostState::Up));
}

TEST_F(HostProcessTest, CallsThatAreNotTakenAreRefusedAtALimit) {
  auto w = run_puppet(puppet("good", 1, 0ms));
  ASSERT_TRUE(until([&] { return w->is(HostState::Up); }));
  ASSERT_TRUE(w->host.call({1, 4, {}}));  // never ends
  uint64_t id = 2;
  while (id < 1'000 && w->host.call({id, 0, {Value(1.0), std::nullopt}})) ++id;
  EXPECT_EQ(id, 65u);
}

TEST_F(HostProcessTest, StoppingAHungOneTakesTheGraceAndNotLonger) {
  auto w = run_puppet(puppet("hang"));
  ASSERT_TRUE(
      until([&] { return w->is(HostState::Up) && test::is_hanging(w->host.status().pid); }));
  const BootTime asked = BootClock::now();
  stop(*w);
  EXPECT_GT(BootClock::now() - asked, nanoseconds(900ms));
  EXPECT_LT(BootClock::now() - asked, nanoseconds(2s));
  EXPECT_NE(w->reason(), "");
}

TEST_F(HostProcessTest, AStartWhileStoppingIsReplayed) {
  auto w = run_puppet(puppet("good", 1, 20ms));
  ASSERT_TRUE(until([&] { return w->is(HostState::Up); }));
  w->host.stop();
  w->host.start();
  EXPECT_TRUE(w->is(HostState::Stopping));
  ASSERT_TRUE(until([&] { return w->is(HostState::Up); }));
  EXPECT_EQ(w->host.status().starts, 2);
}

TEST_F(HostProcessTest, DestroyingItLeavesNoProcess) {
  auto w = run_puppet(puppet("hang"));
  ASSERT_TRUE(
      until([&] { return w->is(HostState::Up) && test::is_hanging(w->host.status().pid); }));
  const pid_t pid = w->host.status().pid;
  w.reset();
  EXPECT_EQ(::kill(pid, 0), -1);
}

// ---- Hosts that are not what they should be.

TEST_F(HostProcessTest, MisbehaviourCostsTheInstanceAndIsNamed) {
  const std::pair<std::string, std::string_view> expected[] = {
      {"truncated", "with a malformed body"},
      {"oversized", "sent a datagram of 140000 bytes"},
      {"empty", "closed its connection"},
      {"version", "a frame of version 9 instead of 1"},
      {"random", "sent a "},
      {"early", "sent samples before it was ready"},
      {"elsewhere", "declared an attribute of a unit that is not there"},
      {"stranger", "a reading of attribute 4711, which it did not declare"},
      {"other-type", "a reading of 'counter' that is no number"},
      {"unit", "sent the state of a unit that is not there"},
      {"outcome", "answered a call that was not made"},
      {"backwards", "sent a message that is not for hosts to send"},
      {"hang-up", "closed its connection"},
      {"flood", "sends more than it may"},
      {"chatter", "writes more to its log than it may"},
      {"leaves", "exit status 7"},
  };
  auto neighbour = run_puppet(puppet("good", 1, 50ms));
  ASSERT_TRUE(until([&] { return neighbour->samples > 0; }));
  for (const auto& [kind, words] : expected) {
    const bool too_much = words.ends_with("than it may");
    auto w = run_fake(kind, too_much ? kTight : HostLink::Limits{});
    ASSERT_TRUE(until([&] { return w->was(HostState::Backoff); })) << kind << ": " << w->reason();
    EXPECT_NE(w->reason().find(words), std::string::npos) << kind << ": " << w->reason();
  }
  EXPECT_EQ(neighbour->host.status().starts, 1);
  expect_no_gap(*neighbour);
}

TEST_F(HostProcessTest, AHostThatSaysNothingIsKilledToo) {
  auto config = puppet("good");
  config.deadline = 100ms;
  Watched w(*loop_, test::build_dir() + "/tests/fake-host", "/x/mute.so", config, {.start = 200ms});
  w.host.start();
  ASSERT_TRUE(until([&] { return w.was(HostState::Backoff); }));
  EXPECT_EQ(w.reason(), "hung: did not answer within 300 ms");
}

TEST_F(HostProcessTest, AFloodingPluginIsKilledAndItsNeighbourKeepsItsRate) {
  auto neighbour = run_puppet(puppet("good", 1, 50ms));
  ASSERT_TRUE(until([&] { return neighbour->samples > 0; }));
  auto w = run_puppet(puppet("flood"), {}, kTight);
  ASSERT_TRUE(until([&] { return w->was(HostState::Backoff); }));
  EXPECT_EQ(w->reason(), "sends more than it may");
  expect_no_gap(*neighbour);
}

}  // namespace
}  // namespace fieldpost
