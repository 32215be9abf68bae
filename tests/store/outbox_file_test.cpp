// SPDX-License-Identifier: Apache-2.0
#include "store/outbox_file.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "damage.hpp"
#include "store/restore.hpp"
#include "store/sqlite_page.hpp"
#include "store_fixture.hpp"

namespace fieldpost {
namespace {

using testing::append;
using testing::content_of;
using testing::describe;
using testing::open_outbox;
using testing::put;
using testing::sample;
using testing::symbols;
using testing::TempDir;

constexpr int64_t kDay = 86'400'000;

struct Read {
  std::vector<std::string> timed, untimed;
};

Read read(OutboxFile& file) {
  Read found;
  const auto done = file.each([&](const WaitingReadings& readings) -> Result<> {
    for (const State& state : readings.states) {
      for (const Point& point : state.points) {
        (readings.timed ? found.timed : found.untimed)
            .push_back(describe(*readings.device, state.time_ms, point));
      }
    }
    return {};
  });
  EXPECT_TRUE(done);
  return found;
}

OutboxFile open(const std::string& path) {
  auto file = OutboxFile::open(path);
  EXPECT_TRUE(file) << file.error().message;
  return *std::move(file);
}

std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    found[entry.path().string()] = content_of(entry.path().string());
  }
  return found;
}

TEST(OutboxFile, SaysWhatTheAgentWouldSend) {
  const TempDir folder;
  std::vector<std::string> expected;
  {
    Outbox before = open_outbox(folder.path(), "boot-1", {0, kDay}).value();
    ASSERT_TRUE(append(before, {sample("d1", 1000, {{"t", 21.5}, {"on", true}}),
                                sample("d2", 1000, {{"t", -0.0}})}));
    before.add_epoch({2000, 2 * kDay});  // the clock was set
    ASSERT_TRUE(append(before, {sample("d1", 2500, {{"note", std::string("a\nb")}}),
                                sample("d1", kDay, {{"t", 7.0}}, CaptureTime::Base::Utc)}));
  }
  {
    Outbox outbox = open_outbox(folder.path(), "boot-2", {0, 3 * kDay}).value();
    ASSERT_TRUE(append(outbox, {sample("d1", 10, {{"t", 1.0 / 3}})}));
    expected = describe(outbox.fetch(item_id::kBeforeAll, 1000).value());
  }
  const auto before = contents(folder.path());
  OutboxFile file = open(folder / "outbox.db");
  const Read found = read(file);
  EXPECT_EQ(found.timed, expected);
  EXPECT_EQ(found.untimed.size(), 0U);
  EXPECT_EQ(file.damage().size(), 0U);
  EXPECT_EQ(file.readings(), 6);
  const auto counts = file.count_rows().value();
  EXPECT_EQ(counts.at("d1").readings, 5);
  EXPECT_EQ(counts.at("d1").oldest_utc_ms, kDay);
  EXPECT_EQ(counts.at("d1").newest_utc_ms, 3 * kDay + 10);
  EXPECT_EQ(counts.at("d2").rows, 1);
  EXPECT_EQ(contents(folder.path()), before) << "something was written, or made";
}

TEST(OutboxFile, ABootWithoutAClockHasItsOwnTime) {
  const TempDir folder;
  {
    Outbox outbox = Outbox::open(testing::outbox_options(folder.path(), "b"), symbols()).value();
    ASSERT_TRUE(append(outbox, {sample("d1", 1000, {{"t", 1.0}})}));
  }
  OutboxFile file = open(folder / "outbox.db");
  const Read found = read(file);
  EXPECT_EQ(found.timed.size(), 0U);
  ASSERT_EQ(found.untimed.size(), 1U);
  EXPECT_TRUE(found.untimed[0].starts_with("d1@1000 t=")) << found.untimed[0];
  EXPECT_EQ(file.count_rows().value().at("d1").oldest_utc_ms, 0);
}

// A log as a killed agent leaves it: some of it is on the disk, some acknowledged.
TEST(OutboxFile, WhatStage1HasComesAfterTheRows) {
  const TempDir folder;
  const std::string stage = folder / "stage";
  std::filesystem::create_directory(stage);
  {
    auto log =
        StageLog::open({.folder = stage, .bytes = 1 << 20, .boot_id = "boot-1"}, symbols()).value();
    Outbox::Options options = testing::outbox_options(folder.path(), "boot-1");
    options.stage_id = log->id();
    Outbox outbox = Outbox::open(options, symbols()).value();
    const auto bring = [&] {
      const auto staged = log->read(log->flushed_up_to(), 1000).value();
      ASSERT_TRUE(outbox.append(staged, log->newest()));
    };
    ASSERT_TRUE(log->append(std::array{sample("d1", 1, {{"n", 1.0}})}));
    bring();
    log->flushed(1);
    const int64_t first_row = outbox.newest_row();
    ASSERT_TRUE(log->append(std::array{sample("d1", 2, {{"n", 2.0}})}));
    bring();  // and killed before flushed()
    ASSERT_TRUE(log->append(std::array{sample("d2", 3, {{"n", 3.0}}), sample("d1", 4, {{"n", 4.0}}),
                                       sample("d1", 5, {{"n", 5.0}})}));
    ASSERT_TRUE(log->append_epoch({0, kDay}));  // the disk has not heard of it
    ASSERT_TRUE(log->acknowledge(std::array{int64_t{4}}, std::array{first_row}));
  }
  const auto before = contents(stage);
  OutboxFile file = open(folder / "outbox.db");
  ASSERT_TRUE(file.add_stage(stage));
  const auto value = [](double n) { return std::to_string(std::bit_cast<uint64_t>(n)); };
  const std::string day = std::to_string(kDay / 1000);
  EXPECT_EQ(read(file).timed,
            (std::vector{"d1@" + day + "002 n=" + value(2.0), "d2@" + day + "003 n=" + value(3.0),
                         "d1@" + day + "005 n=" + value(5.0)}));
  EXPECT_EQ(file.staged(), 2);
  EXPECT_EQ(file.count_staged().value(), (std::map<std::string, int64_t>{{"d1", 1}, {"d2", 1}}));
  EXPECT_EQ(contents(stage), before);
}

TEST(OutboxFile, DamageIsNamed) {
  const TempDir folder;
  const std::string path = folder / "outbox.db";
  const testing::DamageFixture fixture(path);
  {
    OutboxFile file = open(path);
    (void)read(file);
    EXPECT_EQ(file.damage().size(), 0U);
    EXPECT_EQ(file.rows(), static_cast<int64_t>(fixture.original().rows.size()));
  }
  const std::string sound = content_of(path);
  const auto damaged = [&](int64_t row) {
    std::string broken = sound;
    const uint32_t page = *fixture.original().pages_of.at(row).begin();
    broken.replace((page - 1) * sqlite::kPageSize, sqlite::kPageSize, sqlite::kPageSize, '\xff');
    put(path, broken);
  };
  damaged(fixture.original().rows.rbegin()->first);
  OutboxFile file = open(path);
  (void)read(file);
  ASSERT_FALSE(file.damage().empty());
  EXPECT_NE(file.damage()[0].find("cannot be read"), std::string::npos) << file.damage()[0];
  EXPECT_LT(file.rows(), static_cast<int64_t>(fixture.original().rows.size()));

  const std::string fresh = folder / "fresh.db";
  const auto report = salvage_to(path, fresh);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->rows, file.rows());
  EXPECT_FALSE(salvage_to(path, fresh)) << "it exists";
  EXPECT_FALSE(salvage_to(folder / "none", folder / "other"));
  EXPECT_FALSE(std::filesystem::exists(folder / "other"));
  OutboxFile again = open(fresh);
  (void)read(again);
  EXPECT_EQ(again.rows(), file.rows());
  EXPECT_EQ(again.damage().size(), 0U);
}

TEST(OutboxFile, IsNotReadWhileAnotherProcessHasIt) {
  const TempDir folder;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto outbox = open_outbox(folder.path(), "b", {0, 0});
    (void)!::write(ends[1], outbox ? "y" : "n", 1);
    for (;;) ::pause();
  }
  char opened = 0;
  ASSERT_EQ(::read(ends[0], &opened, 1), 1);
  const auto file = OutboxFile::open(folder / "outbox.db");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ASSERT_EQ(opened, 'y');
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Errc::Unavailable);
  EXPECT_NE(file.error().message.find(std::to_string(child)), std::string::npos);
  EXPECT_TRUE(OutboxFile::open(folder / "outbox.db"));
}

TEST(OutboxFile, WhatIsNoOutboxIsRefused) {
  const TempDir folder;
  EXPECT_EQ(OutboxFile::open(folder / "none").error().code, Errc::NotFound);
  put(folder / "noise", std::string(10'000, 'x'));
  EXPECT_EQ(OutboxFile::open(folder / "noise").error().code, Errc::Invalid);
}

}  // namespace
}  // namespace fieldpost
