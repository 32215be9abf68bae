// SPDX-License-Identifier: Apache-2.0
#include "uplink/sent_file.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fakes/test_env.hpp"

namespace fieldpost::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kBoot = "00000000-0000-0000-0000-000000000001";
constexpr BootTime kNow{1h};

TEST(SentFile, WhatWasSentSurvivesAKill) {
  const TempDir folder;
  const pid_t child = ::fork();
  if (child == 0) {
    SentFile file(folder.path(), kBoot);
    Limiter limiter(kLosantLimits, file.records(), kNow);
    for (int i = 0; i < 28; ++i) limiter.sent("a", Traffic::Live, kNow);
    file.set_slow_until(kNow + 1h);
    ::kill(::getpid(), SIGKILL);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  SentFile file(folder.path(), kBoot);
  EXPECT_FALSE(file.begun());
  EXPECT_EQ(file.slow_until(), kNow + 1h);
  Limiter limiter(kLosantLimits, file.records(), kNow + 1s);
  EXPECT_EQ(limiter.free_at("a", Traffic::Live, kNow + 1s), kNow + 16s);
  EXPECT_EQ(limiter.free_at("b", Traffic::Live, kNow + 1s), kNow + 1s);
}

TEST(SentFile, BeginsAnewWithoutAFileOrInAnotherBoot) {
  const TempDir folder;
  EXPECT_TRUE(SentFile(folder.path(), kBoot).begun());
  EXPECT_FALSE(SentFile(folder.path(), kBoot).begun());
  EXPECT_TRUE(SentFile(folder.path(), "another").begun());
}

TEST(SentFile, RubbishIsNotTakenForALog) {
  const TempDir folder;
  std::ofstream(folder / "sent") << std::string(50'000, 'x');
  EXPECT_TRUE(SentFile(folder.path(), kBoot).begun());
  EXPECT_FALSE(SentFile(folder.path(), kBoot).begun());
}

TEST(SentFile, WithoutAFolderItIsKeptInMemory) {
  const TempDir folder;
  SentFile file(folder / "nowhere", kBoot);
  EXPECT_TRUE(file.begun());
  Limiter limiter(kLosantLimits, file.records(), kNow);
  limiter.sent("a", Traffic::Live, kNow);
  EXPECT_GT(limiter.used_percent(kNow), 0);
  EXPECT_EQ(file.slow_until(), BootTime{}) << "in full";
}

}  // namespace
}  // namespace fieldpost::test
