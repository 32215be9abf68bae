// SPDX-License-Identifier: Apache-2.0
#include "main/black_box.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/file.hpp"
#include "base/text.hpp"
#include "fakes/test_env.hpp"
#include "main/boot_reason.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using Ended = LastRun::Ended;
using test::eventually;

constexpr const char* kThisBoot = "0a1b2c3d-0000-4000-8000-000000000001";
constexpr const char* kOtherBoot = "ffffffff-0000-4000-8000-000000000002";
const std::string kTime = "2026-11-27T21:00:00.000Z";

std::string line(const std::string& word, const std::string& boot = "0a1b2c3d") {
  return kTime + " " + boot + " +12s " + word + " some words\n";
}

// Files cannot grow beyond it, while this lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(size_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
};

TEST(LastRun, IsTakenFromTheLastWholeLine) {
  const auto ended = [](const std::string& content, const char* boot = kThisBoot) {
    return last_run(content, boot).ended;
  };
  EXPECT_EQ(ended(""), Ended::None);
  EXPECT_EQ(ended(line("start")), Ended::Crashed);
  EXPECT_EQ(ended(line("start") + line("error")), Ended::Crashed);
  EXPECT_EQ(ended(line("start") + line("error"), kOtherBoot), Ended::CutOff);
  EXPECT_EQ(ended(line("start") + line("stop")), Ended::Stopped);
  EXPECT_EQ(ended(line("start") + line("stop"), kOtherBoot), Ended::Stopped);
  EXPECT_EQ(ended(line("stop") + line("start")), Ended::Crashed);
  EXPECT_EQ(last_run(line("warning"), kOtherBoot).last_word, kTime);
}

TEST(LastRun, ATornEndIsNoMark) {
  const std::string stop = line("stop");
  const std::string before = line("start") + line("warning");
  for (size_t cut = 0; cut < stop.size(); ++cut) {
    for (const size_t zeros : {size_t{0}, stop.size() - cut}) {
      const std::string torn = before + stop.substr(0, cut) + std::string(zeros, '\0');
      ASSERT_EQ(last_run(torn, kOtherBoot).ended, Ended::CutOff) << cut;
    }
  }
  // Also where the block after the torn one holds what was in it before.
  EXPECT_EQ(last_run(before + std::string(20, '\0') + "tail\n", kOtherBoot).ended, Ended::CutOff);
  EXPECT_EQ(last_run(before + "\xff\xfe stop\n", kOtherBoot).ended, Ended::CutOff);
}

class BlackBoxFile : public testing::Test {
 protected:
  std::string content() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(const std::string& text) const { std::ofstream(path, std::ios::binary) << text; }

  test::TempDir dir;
  std::string path = dir / "black-box.log";
};

TEST_F(BlackBoxFile, ATornEndCostsItselfAlone) {
  put(line("start") + line("warning") + line("error").substr(0, 30) + std::string(300, '\0'));
  ASSERT_TRUE(add_to_black_box(path, line("start", "ffffffff")));
  EXPECT_EQ(content(), line("start") + line("warning") + line("start", "ffffffff"));
}

TEST_F(BlackBoxFile, StaysSmallAndKeepsTheNewest) {
  size_t largest = 0;
  for (int i = 0; i < 600; ++i) {
    const std::string text = kTime + " 0a1b2c3d +1s warning " + std::string(250, 'x') + " number " +
                             std::to_string(i) + "\n";
    ASSERT_TRUE(add_to_black_box(path, text));
    largest = std::max<size_t>(largest, std::filesystem::file_size(path));
  }
  EXPECT_LE(largest, BlackBox::kMostBytes);
  const std::string kept = content();
  EXPECT_GE(kept.size() + 400, BlackBox::kKeptBytes);
  EXPECT_TRUE(kept.starts_with(kTime)) << kept.substr(0, 80);
  EXPECT_TRUE(kept.ends_with("number 599\n"));
  int expected = 600 - static_cast<int>(std::ranges::count(kept, '\n'));
  std::istringstream lines(kept);
  for (std::string l; std::getline(lines, l); ++expected) {
    ASSERT_TRUE(l.ends_with("number " + std::to_string(expected))) << l;
  }
}

TEST_F(BlackBoxFile, WhatIsNotOursIsReplaced) {
  put(std::string(size_t{2} << 20, 'x'));
  ASSERT_TRUE(add_to_black_box(path, line("start")));
  EXPECT_EQ(content(), line("start"));
}

TEST_F(BlackBoxFile, IsForNobodyElse) {
  ASSERT_TRUE(add_to_black_box(path, line("start")));
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640U);
}

class BlackBoxRun : public BlackBoxFile {
 protected:
  std::unique_ptr<BlackBox> box(const char* boot = kThisBoot) {
    auto made = std::make_unique<BlackBox>(BlackBox::Options{.path = path,
                                                             .boot_id = boot,
                                                             .start_words = "this program",
                                                             .boot_reason = "a test",
                                                             .ended_path = path + ".ended",
                                                             .batch = batch,
                                                             .pause = pause});
    made->start();
    return made;
  }
  bool holds(const std::string& text) const { return content().find(text) != std::string::npos; }
  bool eventually_holds(const std::string& text) const {
    return eventually([&] { return holds(text); });
  }
  static bool knows(const BlackBox& box, Ended ended) {
    return eventually([&] { return box.view().last_run.ended == ended; });
  }

  nanoseconds batch = 1h;
  nanoseconds pause = 1h;
};

TEST_F(BlackBoxRun, TellsHowTheRunBeforeEnded) {
  auto first = box();
  EXPECT_TRUE(knows(*first, Ended::None));
  EXPECT_TRUE(first->stop(10s));
  auto second = box();
  EXPECT_TRUE(knows(*second, Ended::Stopped));
  ASSERT_TRUE(eventually([&] { return std::ranges::count(content(), '\n') == 3; })) << content();
  second.reset();  // without a word
  auto third = box();
  EXPECT_TRUE(knows(*third, Ended::Crashed));
  third.reset();
  auto fourth = box(kOtherBoot);
  EXPECT_TRUE(knows(*fourth, Ended::CutOff));
  EXPECT_EQ(fourth->view().boot_reason, "a test");
  EXPECT_TRUE(eventually_holds(" start this program; this boot: a test\n"));
}

TEST_F(BlackBoxRun, SaysWhatSystemdSawOfACrash) {
  const std::string ended = path + ".ended";
  const auto seen = [&](const char* text) {
    (void)write_file_atomically(ended, text);
    const auto lines = std::ranges::count(content(), '\n');
    const auto after = box();
    EXPECT_TRUE(eventually([&] { return std::ranges::count(content(), '\n') > lines; }));
    return after->view().last_run.seen_as;
  };
  pause = 0s;
  EXPECT_EQ(seen("watchdog killed ABRT\n"), "") << "there was no run before";
  EXPECT_EQ(seen("watchdog killed ABRT\n"), "systemd saw: watchdog (killed ABRT)");
  EXPECT_TRUE(eventually_holds("runs again: systemd saw: watchdog (killed ABRT)")) << content();
  EXPECT_EQ(seen("oom-kill\n"), "systemd saw: oom-kill");
  EXPECT_EQ(seen("success exited 0\n"), "");
  EXPECT_EQ(seen(""), "");
  EXPECT_TRUE(box()->stop(10s));
  EXPECT_EQ(seen("exit-code exited 1\n"), "") << "it was stopped";
}

TEST_F(BlackBoxRun, KeepsWarningsAndErrorsAndNothingElse) {
  auto b = box();
  ASSERT_TRUE(eventually_holds(" start "));
  log::notice("a notice");
  log::warning("a warning", {{"FP_PLUGIN", "plc"}, {"FP_REASON", "why\nso"}, {"FP_COUNT", "3"}});
  log::error("an error");
  ASSERT_TRUE(b->stop(10s));
  EXPECT_TRUE(holds(" 0a1b2c3d +"));
  EXPECT_TRUE(holds("s warning plc: a warning: why\\x0aso FP_COUNT=3\n")) << content();
  EXPECT_TRUE(holds("s error an error\n"));
  EXPECT_FALSE(holds("notice"));
  EXPECT_TRUE(content().ends_with(" stop as it was told to\n"));
  log::error("after the end");
  EXPECT_FALSE(holds("after the end"));
}

TEST_F(BlackBoxRun, KeepsWhatWasLoggedBeforeItBegan) {
  BlackBox b({.path = path, .boot_id = kThisBoot});
  log::warning("early");
  b.start();
  ASSERT_TRUE(b.stop(10s));
  EXPECT_TRUE(holds("early"));
}

TEST_F(BlackBoxRun, AnErrorIsWrittenAtOnceAndTakesTheWarningsAlong) {
  pause = 0s;
  auto b = box();
  ASSERT_TRUE(eventually_holds(" start "));
  log::warning("it waits");
  log::error("it does not");
  EXPECT_TRUE(eventually_holds("it does not"));
  EXPECT_TRUE(holds("it waits"));
}

TEST_F(BlackBoxRun, WarningsWaitForOthersForALimitedTime) {
  batch = 50ms;
  auto b = box();
  ASSERT_TRUE(eventually_holds(" start "));
  log::warning("it waits");
  EXPECT_TRUE(eventually_holds("it waits"));
}

// What matters is what the disk gets: one write takes all that came within the pause.
TEST_F(BlackBoxRun, ManyErrorsAreFewWrites) {
  pause = 300ms;
  auto b = box();
  ASSERT_TRUE(eventually_holds(" start "));
  int writes = 0;
  FileStamp seen = file_stamp(path);
  const BootTime begin = BootClock::now();
  for (int i = 0; BootClock::now() < begin + 1500ms; ++i) {
    log::error("again " + std::to_string(i));
    const FileStamp now = file_stamp(path);
    if (now != seen) ++writes, seen = now;
    ::usleep(1000);
  }
  EXPECT_GE(writes, 2);
  EXPECT_LE(writes, 6);
}

TEST_F(BlackBoxRun, AnAgentThatCrashesEachTimeWritesOnceAPause) {
  put(line("start"));
  const FileStamp before = file_stamp(path);
  for (int i = 0; i < 10; ++i) {
    auto b = box();
    ASSERT_TRUE(knows(*b, Ended::Crashed));
    log::error("it is about to crash");
  }
  EXPECT_EQ(file_stamp(path), before);
}

TEST_F(BlackBoxRun, AFileThatWasRemovedComesBack) {
  pause = 0s;
  auto b = box();
  ASSERT_TRUE(eventually_holds(" start "));
  ASSERT_TRUE(std::filesystem::remove(path));
  log::error("still here");
  EXPECT_TRUE(eventually_holds("still here"));
}

TEST_F(BlackBoxRun, GoesWithoutADiskAndSaysSoOnce) {
  const std::string folder = dir / "not-there";
  path = folder + "/black-box.log";
  pause = 0s;
  batch = 1ms;
  testing::internal::CaptureStderr();
  auto b = box();
  for (int i = 0; i < 20; ++i) log::error("something");
  ASSERT_TRUE(eventually([&] { return !b->view().trouble.empty(); }));
  std::filesystem::create_directory(folder);  // now it works, and has it all
  EXPECT_TRUE(eventually_holds("something"));
  EXPECT_TRUE(eventually([&] { return b->view().trouble.empty(); }));
  EXPECT_TRUE(b->stop(10s));
  const std::string said = testing::internal::GetCapturedStderr();
  const std::string words = "the black box cannot be written";
  ASSERT_NE(said.find(words), std::string::npos) << said;
  EXPECT_EQ(said.find(words), said.rfind(words));
}

TEST_F(BlackBoxRun, AFullDiskIsSaidAndLivedWith) {
  put(line("start"));
  pause = 0s;
  batch = 1ms;
  // A limit on the size of files stands in for the full disk: the same place fails.
  const FileSizeLimit limit(std::filesystem::file_size(path) + 10);
  auto b = box(kOtherBoot);
  ASSERT_TRUE(eventually([&] { return !b->view().trouble.empty(); }));
  EXPECT_EQ(content(), line("start"));
}

// The disk that does not answer is a FIFO here: who opens it waits for a writer.
TEST_F(BlackBoxRun, AStalledDiskHoldsNobodyUp) {
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  auto b = box();
  for (int i = 0; i < 5000; ++i) log::error("nobody waits");
  EXPECT_FALSE(b->stop(10ms));
  const int fd = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);  // it answers again
  ASSERT_GE(fd, 0);
  std::filesystem::remove(path);
  ::close(fd);
  b.reset();
  EXPECT_TRUE(holds("messages came too fast to be kept"));
}

TEST(BootReason, IsWhatTheHardwareNoted) {
  const test::TempDir root;
  EXPECT_EQ(boot_reason(root.path()), "");
  const auto put = [&](const std::string& file, const std::string& text) {
    const std::filesystem::path path = root.path() + file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  };
  put("/proc/device-tree/chosen/bootloader/rsts", std::string("\0\0\x10\x20", 4));
  EXPECT_EQ(boot_reason(root.path()), "the reset register (PM_RSTS) says 0x1020");
  put("/sys/class/watchdog/watchdog0/bootstatus", "0\n");
  EXPECT_EQ(boot_reason(root.path()), "the reset register (PM_RSTS) says 0x1020");
  put("/sys/class/watchdog/watchdog0/bootstatus", "48\n");
  EXPECT_EQ(boot_reason(root.path()),
            "the watchdog had reset the machine, the voltage had been too low");
}

}  // namespace
}  // namespace fieldpost
