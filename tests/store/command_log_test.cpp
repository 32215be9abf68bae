// SPDX-License-Identifier: Apache-2.0
//
// A command that was noted is found after the end of the process, with the last step that it made,
// whatever is torn; one that has ended is not found, and none is ever a step behind.
#include "store/command_log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>

#include "base/unique_fd.hpp"
#include "fakes/test_env.hpp"
#include "small_tmpfs.hpp"

namespace fieldpost {
namespace {

namespace fs = std::filesystem;
using enum CommandStatus;

constexpr int64_t kSmall = 8192;  // of both files

class CommandLogTest : public ::testing::Test {
 protected:
  CommandLog::Options options(int64_t bytes = kSmall) const {
    return {.folder = folder_, .boot_id = boot_, .bytes = bytes};
  }
  static IncomingCommand command(const std::string& payload) {
    return {.device_id = "d1",
            .payload = payload,
            .topic = "losant/d1/command",
            .received = BootTime(std::chrono::seconds(70))};
  }
  static uint64_t note(CommandLog& log, const std::string& payload) {
    const auto number = log.received(command(payload));
    EXPECT_TRUE(number) << number.error().message;
    return number.value_or(0);
  }
  // As "payload:status", of what a process finds that starts now.
  std::vector<std::string> found() const {
    CommandLog log(options());
    std::vector<std::string> texts;
    for (const auto& [c, status] : log.take_found()) {
      texts.push_back(c.payload + ":" + std::string(name_of(status)));
    }
    return texts;
  }
  std::string contents(const char* name) const {
    std::ifstream in(folder_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void overwrite(const char* name, const std::string& contents) const {
    std::ofstream(folder_ + "/" + name, std::ios::binary | std::ios::trunc) << contents;
  }

  test::TempDir dir_{test::tmpfs()};
  std::string folder_ = dir_ / "stage";
  std::string boot_ = std::string(36, 'b');
};

using Strings = std::vector<std::string>;

TEST_F(CommandLogTest, ADuplicateHasEndedAndDidNotRun) {
  {
    CommandLog log(options());
    const uint64_t number = note(log, "a");
    EXPECT_TRUE(log.step(number, Duplicate));
    EXPECT_EQ(log.open(), 0u);
  }
  EXPECT_EQ(found(), Strings{});
}

// What became of commands outlives the process, also where files change places, and not the boot.
TEST_F(CommandLogTest, KeepsTheNewestTextsOfWhatHasEnded) {
  Strings texts;
  {
    CommandLog log(options());
    for (int i = 0; i < 500; ++i) {
      texts.push_back("outcome " + std::to_string(i));
      EXPECT_TRUE(log.end(note(log, "c"), Done, texts.back()));
    }
    EXPECT_TRUE(log.end(0, Failed, "without a number"));
    texts.emplace_back("without a number");
    (void)note(log, "open");
  }
  CommandLog log(options());
  const Strings kept = log.take_ended();
  EXPECT_GT(kept.size(), 20u);
  ASSERT_LT(kept.size(), 100u);
  EXPECT_TRUE(std::ranges::equal(kept, std::span(texts).last(kept.size())));
  EXPECT_TRUE(log.take_ended().empty());
  EXPECT_EQ(log.open(), 1u);
}

TEST_F(CommandLogTest, TextsThatOutliveTwoProcessesAndNoBoot) {
  { EXPECT_TRUE(CommandLog(options()).end(0, Done, "a")); }
  {
    CommandLog log(options());
    EXPECT_EQ(log.take_ended(), Strings{"a"});
    for (int i = 0; i < 60; ++i) {
      const uint64_t number = note(log, std::string(50, 'x'));
      EXPECT_TRUE(log.step(number, Rejected));  // until the files have changed places
    }
  }
  EXPECT_EQ(CommandLog(options()).take_ended(), Strings{"a"});
  boot_ = std::string(36, 'c');
  EXPECT_TRUE(CommandLog(options()).take_ended().empty());
}

TEST_F(CommandLogTest, FindsWhatHasNotEndedWithItsLastStep) {
  {
    CommandLog log(options());
    EXPECT_TRUE(log.take_found().empty());
    (void)note(log, "a");
    EXPECT_TRUE(log.step(note(log, "b"), Accepted));
    const uint64_t ended = note(log, "c");
    EXPECT_TRUE(log.step(ended, Accepted));
    EXPECT_TRUE(log.step(ended, Done));
    EXPECT_TRUE(log.step(ended, Accepted)) << "nothing comes after the end";
    EXPECT_TRUE(log.step(note(log, "d"), Rejected));
    EXPECT_TRUE(log.step(0, Done));
    EXPECT_EQ(log.open(), 2u);
  }
  CommandLog log(options());
  const auto found = log.take_found();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].status, Received);
  EXPECT_EQ(found[1].status, Accepted);
  const IncomingCommand& first = found[0].command;
  EXPECT_EQ(first.device_id, "d1");
  EXPECT_EQ(first.topic, "losant/d1/command");
  EXPECT_EQ(first.payload, "a");
  EXPECT_EQ(first.received, command("").received);
  EXPECT_TRUE(log.take_found().empty()) << "each only once";
  // They are in the log until they end, and no new one gets their number.
  const uint64_t fresh = note(log, "e");
  EXPECT_GT(fresh, found[1].command.number);
  EXPECT_TRUE(log.step(found[1].command.number, Unknown));
  EXPECT_EQ(this->found(), (Strings{"a:received", "e:received"}));
}

TEST_F(CommandLogTest, OfAnotherBootNothingIsToBeRun) {
  {
    CommandLog log(options());
    (void)note(log, "a");
    EXPECT_TRUE(log.step(note(log, "b"), Accepted));
  }
  boot_ = std::string(36, 'c');
  CommandLog log(options());
  const auto found = log.take_found();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].status, Expired);
  EXPECT_EQ(found[1].status, Accepted);
  EXPECT_EQ(found[0].command.number, 0u);
  EXPECT_EQ(log.open(), 0u);
  EXPECT_EQ(this->found(), Strings{}) << "nor is it said twice";
}

// Every prefix of the file, with zeros or rubbish behind it: what is left is a moment of the past,
// and no command is there again that had ended when the record before the tear was written.
TEST_F(CommandLogTest, TornAtAnyByteItIsAMomentOfItsPast) {
  std::vector<Strings> moments{{}};
  const auto moment = [&](CommandLog& log, uint64_t number, CommandStatus status) {
    EXPECT_TRUE(log.step(number, status));
    moments.push_back(found());
  };
  {
    CommandLog log(options());
    (void)log.take_found();
    for (const char* payload : {"first", "second"}) {
      const uint64_t number = note(log, payload);
      moments.push_back(found());
      moment(log, number, Accepted);
      moment(log, number, Done);
    }
    (void)note(log, "third");
    moments.push_back(found());
  }
  const std::string whole = contents("commands.1");
  const size_t used = whole.find_last_not_of('\0') + 1;
  ASSERT_GT(used, 100u);
  size_t last = 0;
  for (size_t cut = 0; cut <= used; ++cut) {
    for (const char rest : {'\0', '\xA5'}) {
      overwrite("commands.1", whole.substr(0, cut) + std::string(whole.size() - cut, rest));
      const Strings now = found();
      const auto begin = moments.begin() + static_cast<ptrdiff_t>(last);
      const auto at = std::find(begin, moments.end(), now);
      ASSERT_NE(at, moments.end()) << "cut at " << cut;
      last = static_cast<size_t>(at - moments.begin());
    }
  }
  EXPECT_EQ(last, moments.size() - 1);
}

TEST_F(CommandLogTest, ForgetsWhatHasEndedWhenAFileIsFull) {
  {
    CommandLog log(options());
    EXPECT_TRUE(log.step(note(log, "old"), Accepted));
    (void)note(log, "waits");
    for (int i = 0; i < 2000; ++i) {
      const uint64_t number = note(log, std::string(50, 'x'));
      ASSERT_TRUE(log.step(number, Accepted));
      ASSERT_TRUE(log.step(number, Done));
      if (i % 100 == 0) {
        ASSERT_EQ(found(), (Strings{"old:accepted", "waits:received"}));
      }
    }
    EXPECT_EQ(log.open(), 2u);
  }
  EXPECT_LE(contents("commands.0").size() + contents("commands.1").size(), size_t{kSmall});
  EXPECT_EQ(found(), (Strings{"old:accepted", "waits:received"}));
}

// A file that was not gone over to, as its last record is missing: the other one counts. One that
// was, and is damaged: the other one, older, must not stand up again.
TEST_F(CommandLogTest, AnOlderFileDoesNotStandUpAgain) {
  CommandLog log(options());
  const uint64_t number = note(log, "a");
  ASSERT_TRUE(log.step(number, Accepted));
  const std::string before = contents("commands.1");
  while (contents("commands.0").find("filler") == std::string::npos) {
    ASSERT_TRUE(log.step(note(log, "filler"), Rejected));
  }
  const std::string after = contents("commands.0");
  overwrite("commands.1", before);
  overwrite("commands.0", after.substr(0, 100) + std::string(after.size() - 100, '\0'));
  EXPECT_EQ(found(), (Strings{"a:accepted"})) << "the turn was not complete";
}

TEST_F(CommandLogTest, AfterATurnTheFileBeforeIsEmpty) {
  {
    CommandLog log(options());
    ASSERT_TRUE(log.step(note(log, "a"), Accepted));
    while (contents("commands.0").find("filler") == std::string::npos) {
      ASSERT_TRUE(log.step(note(log, "filler"), Rejected));
    }
  }
  ASSERT_EQ(found(), (Strings{"a:accepted"}));
  fs::remove(folder_ + "/commands.0");
  EXPECT_EQ(found(), Strings{});
}

TEST_F(CommandLogTest, AFullLogRefusesAndHasRoomForTheStepsOfTheOthers) {
  CommandLog log(options());
  std::vector<uint64_t> numbers;
  Result<uint64_t> number;
  for (size_t size = 0; (number = log.received(command(std::string(size, 'x')))); ++size) {
    numbers.push_back(*number);
    if (size % 3 == 0) {
      ASSERT_TRUE(log.step(*number, Accepted));
    }
  }
  EXPECT_EQ(number.error().code, Errc::Full);
  EXPECT_EQ(number.error().message, std::to_string(numbers.size()) +
                                        " commands have not ended, and there is no room for more");
  EXPECT_GT(numbers.size(), 10u);
  EXPECT_EQ(log.trouble(), "") << "to be full is no fault";
  for (const uint64_t n : numbers) ASSERT_TRUE(log.step(n, Accepted));
  EXPECT_EQ(log.open(), numbers.size());
  for (const uint64_t n : numbers) ASSERT_TRUE(log.step(n, Done));
  EXPECT_EQ(log.trouble(), "");
  EXPECT_EQ(found(), Strings{});
  EXPECT_NE(note(log, "again"), 0u);
}

TEST_F(CommandLogTest, ATmpfsWithoutRoomIsSaidAndTriedAgain) {
  fs::create_directory(folder_);
  testing::SmallTmpfs tmpfs(folder_ + "/small");
  if (!tmpfs.mounted()) GTEST_SKIP() << "only root may mount a tmpfs";
  auto wanted = options(256 << 10);
  wanted.folder = folder_ + "/small";
  CommandLog log(wanted);
  const auto noted = log.received(command("a"));
  EXPECT_EQ(noted.error().code, Errc::Unavailable) << "Full would mean: refuse it";
  EXPECT_NE(log.trouble().find("No space left"), std::string::npos) << log.trouble();
  EXPECT_TRUE(log.step(0, Accepted));
  ASSERT_EQ(::mount(nullptr, wanted.folder.c_str(), "tmpfs", MS_REMOUNT, "size=1m"), 0);
  EXPECT_TRUE(test::eventually([&] { return log.received(command("b")).has_value(); }));
  EXPECT_EQ(log.trouble(), "");
}

TEST_F(CommandLogTest, FilesThatAreRemovedComeBackWithTheNextCommand) {
  CommandLog log(options());
  (void)note(log, "a");
  fs::remove_all(folder_);
  (void)note(log, "b");
  EXPECT_EQ(found(), (Strings{"a:received", "b:received"}));
}

// ---- kill -9 between any two steps. The child says each before and after; what it said before and
// not after may be either.

struct Said {
  uint64_t number = 0;
  CommandStatus status{};
  bool after = false;
};

[[noreturn]] void take_steps_for_ever(const CommandLog::Options& options, int fd) {
  CommandLog log(options);
  (void)log.take_found();
  const auto say = [&](uint64_t number, CommandStatus status, bool after) {
    const Said said{number, status, after};
    if (::write(fd, &said, sizeof said) != sizeof said) ::_exit(2);
  };
  for (uint64_t i = 1;; ++i) {
    const std::string payload = std::to_string(i) + std::string(i % 300, 'x');
    const auto number = log.received({.device_id = "d", .payload = payload});
    if (!number) ::_exit(3);
    say(i, Received, true);
    for (const CommandStatus status : {Accepted, Done}) {
      say(i, status, false);
      if (!log.step(*number, status)) ::_exit(4);
      say(i, status, true);
    }
  }
}

TEST_F(CommandLogTest, AKillBetweenAnyStepsLosesNone) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed));
  std::mt19937 random(static_cast<uint32_t>(seed));
  std::array<int, 3> ends_at{};
  for (int round = 0; round < (test::is_long() ? 2000 : 200); ++round) {
    fs::remove_all(folder_);
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd from(ends[0]);
    UniqueFd to(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) take_steps_for_ever(options(), to.get());
    to = UniqueFd();
    Said said;
    const auto wanted = 1 + random() % 400;  // more than a file holds, so that turns are met too
    for (unsigned i = 0; i < wanted; ++i) {
      ASSERT_EQ(::read(from.get(), &said, sizeof said), static_cast<ssize_t>(sizeof said));
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(from.get(), &said, sizeof said) == sizeof said) continue;

    CommandLog log(options());
    const auto found = log.take_found();
    ASSERT_LE(found.size(), 2u) << "one, and one that it had no time to tell of";
    const auto it = std::ranges::find_if(
        found, [&](const auto& f) { return std::stoull(f.command.payload) == said.number; });
    const CommandStatus now = it == found.end() ? Done : it->status;
    if (said.after) {
      ASSERT_GE(now, said.status);
    } else {
      ASSERT_GE(static_cast<int>(now), static_cast<int>(said.status) - 1);
    }
    ++ends_at[std::min<size_t>(static_cast<size_t>(now), 2)];
  }
  for (const int times : ends_at) EXPECT_GT(times, 0) << "a step was never the last one";
}

}  // namespace
}  // namespace fieldpost
