// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "base/backoff.hpp"
#include "base/clock.hpp"
#include "base/event_loop.hpp"
#include "base/file.hpp"
#include "base/json.hpp"
#include "base/mailbox.hpp"
#include "base/seqpacket.hpp"
#include "base/spawn.hpp"
#include "base/unique_fd.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

TEST(Result, CarriesTheCauseAndTheContext) {
  const auto r = read_file("/no/such/file", 10).context("probe");
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Errc::NotFound);
  EXPECT_EQ(r.error().message, "probe: open '/no/such/file': No such file or directory");
}

TEST(UniqueFd, ClosesExactlyOnce) {
  int raw = -1;
  {
    UniqueFd a(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = a.get();
    UniqueFd b(std::move(a));
    EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): empty is what is promised
    EXPECT_EQ(b.get(), raw);
    b = UniqueFd();
    EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
  }
}

TEST(Mailbox, RefusesAtItsLimitAndKeepsOrder) {
  Mailbox<int> box(2);
  EXPECT_TRUE(box.post(1));
  EXPECT_TRUE(box.post(2));
  EXPECT_FALSE(box.post(3));
  EXPECT_EQ(box.take_all(), (std::vector<int>{1, 2}));
  EXPECT_TRUE(box.post(4));
  EXPECT_EQ(box.take_all(), (std::vector<int>{4}));
}

TEST(Mailbox, MergesIntoTheNewestOnly) {
  Mailbox<int> box(8);
  const auto add = [](int& waiting, int& next) {
    return next == 0 ? false : (waiting += next, true);
  };
  EXPECT_TRUE(box.post_or_merge(1, add));
  EXPECT_TRUE(box.post_or_merge(2, add));
  EXPECT_TRUE(box.post_or_merge(0, add));
  EXPECT_TRUE(box.post_or_merge(5, add));
  EXPECT_EQ(box.take_all(), (std::vector<int>{3, 5}));
}

TEST(Mailbox, NothingIsLostBetweenThreads) {
  Mailbox<int> box(1'000'000);
  constexpr int kEach = 20'000;
  std::vector<std::jthread> writers;
  for (int w = 0; w < 3; ++w) {
    writers.emplace_back([&box] {
      for (int i = 0; i < kEach; ++i) ASSERT_TRUE(box.post(int{i}));
    });
  }
  size_t got = 0;
  EXPECT_TRUE(test::eventually([&] { return (got += box.take_all().size()) == 3 * kEach; }));
}

class LoopTest : public testing::Test {
 protected:
  LoopTest() { block_signals({SIGCHLD, SIGUSR1}); }
  // Turns the loop until the condition holds.
  template <class F>
  bool turn_until(F condition, std::chrono::milliseconds limit = 5s) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition() && std::chrono::steady_clock::now() < deadline) (void)loop_.run_once(10ms);
    return condition();
  }
  static void spin(nanoseconds duration) {
    const BootTime until = BootClock::now() + duration;
    while (BootClock::now() < until) {
    }
  }
  EventLoop loop_ = *EventLoop::create();
};

TEST_F(LoopTest, ASourceMayEndItselfInItsCallback) {
  int fired = 0;
  Source source;
  source = *loop_.every(1ms, [&] {
    if (++fired == 3) source = Source();
  });
  EXPECT_TRUE(turn_until([&] { return fired == 3; }));
  EXPECT_FALSE(turn_until([&] { return fired > 3; }, 50ms));
}

// After a stall the turns that were missed are skipped, not made up for: each turn falls into a
// period of its own.
TEST_F(LoopTest, MissedTurnsAreSkipped) {
  std::vector<BootTime> at;
  const Source source = *loop_.every(20ms, [&] {
    at.push_back(BootClock::now());
    if (at.size() == 2) spin(90ms);
  });
  const BootTime start = BootClock::now();
  ASSERT_TRUE(turn_until([&] { return at.size() == 6; }));
  for (size_t i = 1; i < at.size(); ++i)
    EXPECT_GT((at[i] - start) / 20ms, (at[i - 1] - start) / 20ms);
}

// The plan is kept, not the pause. A busy machine may make any single run late, so the best of
// some.
TEST_F(LoopTest, APeriodDoesNotDrift) {
  nanoseconds best = 1h;
  for (int run = 0; run < 20 && best > 240ms; ++run) {
    const BootTime start = BootClock::now();
    int turns = 0;
    const Source source = *loop_.every(40ms, [&] { ++turns, spin(15ms); });
    ASSERT_TRUE(turn_until([&] { return turns >= 5; }));
    best = std::min(best, BootClock::now() - start);
  }
  EXPECT_LE(best, 240ms) << "five periods of 40 ms, each with 15 ms of work";
}

TEST_F(LoopTest, InputsRunBeforeDeadlinesAfterAStall) {
  std::string order;
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const Source timer = *loop_.after(1ms, [&] { order += "d"; });
  const Source input = *loop_.on_readable(event.get(), [&] {
    eventfd_t n = 0;
    ::eventfd_read(event.get(), &n);
    order += "i";
  });
  ::eventfd_write(event.get(), 1);
  spin(30ms);
  ASSERT_TRUE(turn_until([&] { return order.size() == 2; }));
  EXPECT_EQ(order, "id");
}

TEST_F(LoopTest, ADescriptorCanBeWatchedForBothAtOnce) {
  auto [a, b] = *make_seqpacket_pair();
  bool readable = false;
  bool writable = false;
  const Source in = *loop_.on_readable(a.get(), [&, fd = a.get()] {
    std::vector<std::byte> buffer(16);
    readable = receive_datagram(fd, buffer, false).has_value();
  });
  Source out;
  out = *loop_.on_writable(a.get(), [&] { writable = true, out = Source(); });
  ASSERT_TRUE(send_datagram(b.get(), std::vector<std::byte>(3), true));
  EXPECT_TRUE(turn_until([&] { return readable && writable; }));
}

TEST_F(LoopTest, SignalsAndChildrenArriveInTheLoop) {
  bool signalled = false;
  const Source on_signal = *loop_.on_signal(SIGUSR1, [&] { signalled = true; });
  ::kill(::getpid(), SIGUSR1);
  EXPECT_TRUE(turn_until([&] { return signalled; }));

  const auto pid = spawn({"/bin/sh", {"-c", "exit 7"}, {-1, -1, -1}});
  ASSERT_TRUE(pid) << pid.error().message;
  int status = -1;
  const Source on_exit = *loop_.on_exit(*pid, [&](const siginfo_t& si) { status = si.si_status; });
  EXPECT_TRUE(turn_until([&] { return status == 7; }));
}

// What a program says on stdout, with /dev/null as descriptors 0 and 3.
std::string output_of(const std::string& program, const std::vector<std::string>& args) {
  int ends[2];
  if (::pipe(ends) != 0) return "";  // not close-on-exec, on purpose
  const UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  const auto pid = spawn({program, args, {-1, out.get(), STDERR_FILENO, -1}});
  if (!pid) return pid.error().message;
  out = UniqueFd();
  std::string seen;
  char block[512];
  for (ssize_t n = 0; (n = ::read(in.get(), block, sizeof block)) > 0;) {
    seen.append(block, static_cast<size_t>(n));
  }
  ::waitpid(*pid, nullptr, 0);
  return seen;
}

// Asked without a shell: that opens pipes and blocks signals of its own while it runs programs.
TEST(Spawn, AChildSeesOnlyWhatItIsGivenAndNoBlockedSignals) {
  block_signals({SIGTERM, SIGCHLD});
  EXPECT_EQ(output_of("/bin/ls", {"/proc/self/fd"}), "0\n1\n2\n3\n4\n") << "4: the folder itself";
  const std::string blocked = output_of("/bin/grep", {"SigBlk", "/proc/self/status"});
  EXPECT_EQ(blocked, "SigBlk:\t0000000000000000\n");
  // 32 and 33 belong to libc and cannot be reset; the rest, SIGPIPE above all, must be.
  const std::string ignored = output_of("/bin/grep", {"SigIgn", "/proc/self/status"});
  ASSERT_TRUE(ignored.starts_with("SigIgn:")) << ignored;
  EXPECT_EQ(std::stoull(ignored.substr(7), nullptr, 16) & ~(uint64_t{3} << 31), 0u) << ignored;
}

TEST(Spawn, AMissingProgramIsAnError) {
  const auto pid = spawn({"/no/such/program", {}, {}});
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().code, Errc::NotFound);
}

TEST(Seqpacket, KeepsBoundariesAndTellsAnEnd) {
  auto [a, b] = *make_seqpacket_pair();
  const std::vector<std::byte> big(kMaxDatagram, std::byte{7});
  ASSERT_TRUE(send_datagram(a.get(), std::span(big).first(3), true));
  ASSERT_TRUE(send_datagram(a.get(), big, true));
  std::vector<std::byte> buffer(kMaxDatagram);
  EXPECT_EQ(receive_datagram(b.get(), buffer, true)->size(), 3u);
  EXPECT_EQ(receive_datagram(b.get(), buffer, true)->size(), kMaxDatagram);
  EXPECT_EQ(receive_datagram(b.get(), buffer, false).error().code, Errc::Unavailable);
  ASSERT_TRUE(send_datagram(a.get(), big, true));
  buffer.resize(10);
  EXPECT_EQ(receive_datagram(b.get(), buffer, true).error().code, Errc::Invalid);
  a = UniqueFd();
  EXPECT_TRUE(receive_datagram(b.get(), buffer, true)->empty());
  EXPECT_EQ(send_datagram(b.get(), std::span(big).first(1), true).error().code, Errc::Unavailable);
}

// A host that refuses its plugin goes without reading its configuration. Its reason must arrive.
TEST(Seqpacket, TheLastWordsOfAPeerThatDidNotReadArrive) {
  auto [a, b] = *make_seqpacket_pair();
  ASSERT_TRUE(send_datagram(b.get(), std::vector<std::byte>(5), true));  // never read
  ASSERT_TRUE(send_datagram(a.get(), std::vector<std::byte>(3), true));
  a = UniqueFd();
  std::vector<std::byte> buffer(16);
  EXPECT_EQ(next_datagram(b.get()).value_or(0), 3u);
  EXPECT_EQ(receive_datagram(b.get(), buffer, false)->size(), 3u);
  EXPECT_TRUE(receive_datagram(b.get(), buffer, false)->empty());
}

TEST(Seqpacket, AFullSocketRefusesInsteadOfWaiting) {
  auto [a, b] = *make_seqpacket_pair();
  const std::vector<std::byte> big(kMaxDatagram);
  Result<> sent;
  int n = 0;
  for (; sent && n < 1000; ++n) sent = send_datagram(a.get(), big, false);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Errc::Full);
  EXPECT_GT(n, 1);
}

TEST(File, ReplacesAtomicallyAndRefusesWhatIsTooLong) {
  const test::TempDir dir;
  const std::string path = dir / "f";
  ASSERT_TRUE(write_file_atomically(path, "one", 0600));
  ASSERT_TRUE(write_file_atomically(path, "two", 0640));
  EXPECT_EQ(*read_file(path, 10), "two");
  struct stat st {};
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0640u);
  EXPECT_EQ(read_file(path, 2).error().code, Errc::Invalid);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
  EXPECT_FALSE(write_file_atomically(dir / "no/such/folder", "x"));
}

TEST(Backoff, GrowsWithJitterUpToItsCap) {
  Backoff backoff(100ms, 1s, 42);
  EXPECT_LE(backoff.next(), 200ms);
  EXPECT_LE(backoff.next(), 400ms);
  std::set<int64_t> seen;
  for (int i = 0; i < 200; ++i) {
    const auto pause = backoff.next();
    EXPECT_GE(pause, 100ms);
    EXPECT_LE(pause, 1s);
    seen.insert(pause.count());
  }
  EXPECT_GT(seen.size(), 100u) << "spread over the whole range";
  EXPECT_GT(*seen.rbegin(), 900);
  EXPECT_LT(*seen.begin(), 200);
  std::set<int64_t> first;
  for (int i = 0; i < 50; ++i) {
    backoff.reset();
    first.insert(backoff.next().count());
  }
  EXPECT_GT(first.size(), 25u) << "also the first, or a fleet comes back in one second";
  EXPECT_LE(*first.rbegin(), 200);
  EXPECT_EQ(Backoff(5s, 1s).next(), 5s) << "a cap below the first pause";
}

TEST(Clock, BootTimeAndOffsetGiveTheWallClock) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  const auto seen = BootClock::now().time_since_epoch() + wall_offset();
  EXPECT_LT(std::chrono::abs(wall - seen), 100ms);
  EXPECT_EQ(boot_id()->size(), 36u);
}

TEST(Json, IsStrict) {
  EXPECT_TRUE(parse_json("{\"a\":[1,2.5,\"x\",null]}"));
  for (const char* bad : {"", "{", "{} x", "[1,]", "{'a':1}", "\"\xff\"", "nul"}) {
    EXPECT_FALSE(parse_json(bad)) << bad;
  }
  EXPECT_FALSE(parse_json(std::string(100, '[') + std::string(100, ']')));
  EXPECT_FALSE(parse_json(std::string(10'000'000, '[')));
}

TEST(Json, ObjectsAreBoundedInWidth) {
  const auto object = [](size_t members) {
    std::string text = "{";
    for (size_t i = 0; i < members; ++i) {
      text += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":1";
    }
    return text + "}";
  };
  const std::string full = object(kMaxMembers);
  EXPECT_TRUE(parse_json(full));
  EXPECT_TRUE(parse_json("{\"a\":[" + full + "," + full + "],\"b\":" + full + "}")) << "each";
  const auto wide = parse_json("[{\"a\":" + object(100'000) + "}]");
  ASSERT_FALSE(wide);
  EXPECT_NE(wide.error().message.find("1000 members"), std::string::npos) << wide.error().message;
}

}  // namespace
}  // namespace fieldpost
