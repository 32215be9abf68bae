// SPDX-License-Identifier: Apache-2.0
#include "store/outbox.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>

#include "fakes/faulty_vfs.hpp"
#include "store/database.hpp"
#include "store/wall.hpp"
#include "store_fixture.hpp"

namespace fieldpost {
namespace {

using testing::append;
using testing::describe;
using testing::FaultyVfs;
using testing::rows_of;
using testing::sample;
using testing::TempDir;
using Strings = std::vector<std::string>;

constexpr int64_t kOffset = 1'700'000'000'000;
constexpr Epoch kNow{.since_ms = 500, .offset_ms = kOffset};

Outbox open(const TempDir& dir, const std::string& boot = "boot-1", Epoch now = kNow) {
  auto outbox = testing::open_outbox(dir.path(), boot, now);
  EXPECT_TRUE(outbox) << outbox.error().message;
  return *std::move(outbox);
}

std::vector<Chunk> all(Outbox& outbox, int64_t after = 0) {
  auto chunks = outbox.fetch(after, 1'000'000);
  EXPECT_TRUE(chunks) << chunks.error().message;
  return *std::move(chunks);
}

std::string number(const std::string& device, int64_t ms, const std::string& name, double value) {
  return describe(device, kOffset + ms, Point{testing::symbol(name), value});
}

// Runs SQL on a closed outbox.
void edit(const TempDir& dir, const char* sql) {
  Database database = Database::open(dir / "outbox.db").value();
  const auto done = database.exec(sql);
  ASSERT_TRUE(done) << done.error().message;
}

TEST(Outbox, GivesBackWhatItTook) {
  TempDir dir;
  Outbox outbox = open(dir);
  EXPECT_EQ(outbox.newest_row(), item_id::kBeforeAll);
  EXPECT_TRUE(all(outbox).empty());
  ASSERT_TRUE(append(
      outbox, std::vector{sample("d1", 1000, {{"a", 1.5}, {"b", 2.0}}),
                          sample("d2", 1001, {{"a", 3.0}}), sample("d1", 2000, {{"a", 1.6}})}));
  const auto chunks = all(outbox);
  ASSERT_EQ(chunks.size(), 2U);  // one row for each device
  EXPECT_EQ(describe(chunks),
            (Strings{number("d1", 1000, "a", 1.5), number("d1", 1000, "b", 2.0),
                     number("d1", 2000, "a", 1.6), number("d2", 1001, "a", 3.0)}));
  EXPECT_EQ(outbox.newest_row(), chunks.back().row);
  EXPECT_EQ(outbox.totals().rows, 2);
  EXPECT_EQ(outbox.totals().readings, 4);
  EXPECT_EQ(outbox.totals().oldest_utc_ms, kOffset + 1000);
  EXPECT_GT(outbox.totals().file_bytes, 0);
}

// Whoever has a part of a sample on its way would get the whole row once more.
TEST(Outbox, ASampleStandsInOneRow) {
  TempDir dir;
  Outbox outbox = open(dir);
  std::vector<DeviceSample> samples;
  for (int64_t i = 0; i < 6'000; ++i) {  // 18,000 readings; 8192 are not a multiple of three
    samples.push_back(sample("d", i, {{"a", 0.0}, {"b", 1.0}, {"c", 2.0}}));
  }
  const std::string long_text(60'000, 'x');
  for (int64_t i = 6'000; i < 6'030; ++i) {  // 1.8 MB of text; 1 MiB is not a multiple of two
    samples.push_back(sample("d", i, {{"t", long_text}, {"u", long_text}}));
  }
  ASSERT_TRUE(append(outbox, samples));
  std::map<int64_t, int> rows_of;  // by time, of which each sample has its own
  for (const MadeRow& made : outbox.made()) {
    for (const Handover::Member& member : made.members) ++rows_of[member.ms];
  }
  EXPECT_GT(outbox.made().size(), 4U);
  EXPECT_EQ(rows_of.size(), samples.size());
  for (const auto& [ms, rows] : rows_of) EXPECT_EQ(rows, 1) << ms;
  EXPECT_EQ(outbox.totals().readings, 18'060);
}

TEST(Outbox, FetchGoesOnWhereItStopped) {
  TempDir dir;
  Outbox outbox = open(dir);
  for (int64_t i = 0; i < 10; ++i) {
    ASSERT_TRUE(append(outbox, std::vector{sample("d", i, {{"a", 0.0}, {"b", 0.0}})}));
  }
  int64_t after = 0;
  for (int i = 0; i < 5; ++i) {
    const auto chunks = outbox.fetch(after, 3).value();
    ASSERT_EQ(chunks.size(), 2U) << "until three readings are reached";
    after = chunks.back().row;
  }
  EXPECT_TRUE(outbox.fetch(after, 3).value().empty());
  EXPECT_EQ(outbox.fetch(0, 0).value().size(), 1U) << "at least one row";
}

TEST(Outbox, WhatIsAcknowledgedIsGoneAtOnceAndForGood) {
  TempDir dir;
  {
    Outbox outbox = open(dir);
    for (int64_t i = 0; i < 4; ++i) {
      ASSERT_TRUE(append(outbox, std::vector{sample("d", i, {{"a", static_cast<double>(i)}})}));
    }
    const auto rows = rows_of(all(outbox));
    EXPECT_FALSE(outbox.has_waiting_deletes());
    ASSERT_TRUE(outbox.acknowledge(std::vector{rows[0], rows[2], rows[2], int64_t{999}}));
    ASSERT_TRUE(outbox.acknowledge(std::vector{rows[0]}));
    EXPECT_EQ(outbox.waiting_deletes(), 2U);
    EXPECT_EQ(outbox.totals().rows, 2);
    EXPECT_EQ(outbox.totals().readings, 2);
    EXPECT_EQ(outbox.totals().oldest_utc_ms, kOffset + 1);
    EXPECT_EQ(rows_of(all(outbox)), (std::vector{rows[1], rows[3]}));
    ASSERT_TRUE(outbox.flush_deletes());
    EXPECT_FALSE(outbox.has_waiting_deletes());
    EXPECT_EQ(rows_of(all(outbox)), (std::vector{rows[1], rows[3]}));
    ASSERT_TRUE(outbox.acknowledge(rows));
    ASSERT_TRUE(append(outbox, std::vector{sample("d", 9, {{"a", 9.0}})}));
    EXPECT_FALSE(outbox.has_waiting_deletes()) << "deletes ride in the append";
    EXPECT_EQ(outbox.totals().oldest_utc_ms, kOffset + 9);
  }
  Outbox outbox = open(dir);
  EXPECT_EQ(describe(all(outbox)), Strings{number("d", 9, "a", 9.0)});
  EXPECT_EQ(outbox.totals().readings, 1);
}

TEST(Outbox, RowNumbersAreNotUsedTwice) {
  TempDir dir;
  Outbox outbox = open(dir);
  int64_t last = 0;
  for (int64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(append(outbox, std::vector{sample("d", i, {{"a", 0.0}})}));
    const auto rows = rows_of(all(outbox));
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_GT(rows[0], last);
    last = rows[0];
    ASSERT_TRUE(outbox.acknowledge(rows));
    ASSERT_TRUE(outbox.flush_deletes());
  }
}

TEST(Outbox, SamplesOfOneMillisecondAreRowsOfTheirOwn) {
  TempDir dir;
  Outbox outbox = open(dir);
  ASSERT_TRUE(append(outbox, std::vector{sample("d", 7, {{"b", 2.0}}), sample("d", 6, {{"a", 1.0}}),
                                         sample("d", 7, {{"c", true}}),
                                         sample("d", 7, {{"e", std::string("x")}})}));
  const auto chunks = all(outbox);
  ASSERT_EQ(chunks.size(), 3U);
  ASSERT_EQ(chunks[0].states.size(), 2U);
  EXPECT_EQ(chunks[0].states[1].points.size(), 1U);
  EXPECT_EQ(chunks[2].states[0].time_ms, chunks[0].states[1].time_ms);
}

TEST(Outbox, TwoValuesOfOneAttributeInOneMillisecondAreBothKept) {
  TempDir dir;
  Outbox outbox = open(dir);
  ASSERT_TRUE(
      append(outbox, std::vector{sample("d", 7, {{"a", 1.0}, {"b", 1.0}}),
                                 sample("d", 7, {{"a", 2.0}}), sample("d", 8, {{"a", 3.0}})}));
  EXPECT_EQ(describe(all(outbox)), (Strings{number("d", 7, "a", 1.0), number("d", 7, "b", 1.0),
                                            number("d", 7, "a", 2.0), number("d", 8, "a", 3.0)}));
}

TEST(Outbox, WhatNoRowCanHoldIsLeftOutAndCounted) {
  TempDir dir;
  Outbox outbox = open(dir);
  ASSERT_TRUE(append(
      outbox, std::vector{sample("d", 1, {{"a", std::string(kMaxText + 1, 'x')}, {"b", 1.0}}),
                          sample("d", int64_t{1} << 60, {{"b", 1.0}})}));
  EXPECT_EQ(describe(all(outbox)), Strings{number("d", 1, "b", 1.0)});
  EXPECT_EQ(outbox.totals().refused, 2);
  EXPECT_EQ(outbox.totals().readings, 1);
}

TEST(Outbox, TimesOfUtcStayAsTheyAre) {
  TempDir dir;
  Outbox outbox = open(dir);
  ASSERT_TRUE(
      append(outbox, std::vector{sample("d", kOffset + 5, {{"a", 1.0}}, CaptureTime::Base::Utc),
                                 sample("d", 6, {{"a", 2.0}})}));
  EXPECT_EQ(describe(all(outbox)), (Strings{number("d", 6, "a", 2.0), number("d", 5, "a", 1.0)}));
}

TEST(Outbox, ARestartInTheSameBootKeepsTheStamps) {
  TempDir dir;
  Strings before;
  {
    Outbox outbox = open(dir);
    ASSERT_TRUE(append(outbox, std::vector{sample("d", 1000, {{"a", 1.0}})}));
    before = describe(all(outbox));
  }
  // The offset is measured anew at each start, and differs by what NTP has slewed.
  Outbox outbox = open(dir, "boot-1", {.since_ms = 3000, .offset_ms = kOffset + 900});
  ASSERT_TRUE(append(outbox, std::vector{sample("d", 4000, {{"a", 2.0}})}));
  EXPECT_EQ(describe(all(outbox)), (Strings{before[0], number("d", 4000, "a", 2.0)}));
}

TEST(Outbox, AClockThatWasSetWhileStoppedCountsFromTheStartOn) {
  TempDir dir;
  {
    Outbox outbox = open(dir);
    ASSERT_TRUE(append(outbox, std::vector{sample("d", 1000, {{"a", 1.0}})}));
  }
  Outbox outbox = open(dir, "boot-1", {.since_ms = 3000, .offset_ms = kOffset - 7'200'000});
  ASSERT_TRUE(append(outbox, std::vector{sample("d", 4000, {{"a", 2.0}})}));
  EXPECT_EQ(describe(all(outbox)),
            (Strings{number("d", 1000, "a", 1.0), number("d", 4000 - 7'200'000, "a", 2.0)}));
}

TEST(Outbox, RowsOfAnotherBootKeepItsClock) {
  TempDir dir;
  {
    Outbox outbox = open(dir);
    ASSERT_TRUE(append(outbox, std::vector{sample("d", 1000, {{"a", 1.0}})}));
  }
  constexpr int64_t kDay = 86'400'000;
  Outbox outbox = open(dir, "boot-2", {.since_ms = 100, .offset_ms = kOffset + kDay});
  ASSERT_TRUE(append(outbox, std::vector{sample("d", 200, {{"a", 2.0}})}));
  EXPECT_EQ(describe(all(outbox)),
            (Strings{number("d", 1000, "a", 1.0), number("d", 200 + kDay, "a", 2.0)}));
}

TEST(Outbox, AClockStepKeepsOldStampsAndLosesNothing) {
  TempDir dir;
  const auto check = [&](Outbox& outbox) {
    const auto chunks = all(outbox);
    ASSERT_EQ(chunks.size(), 1U);
    // 1000 and 2000 by the first epoch, 3000 by the second: set back by 1000 ms, onto the second.
    EXPECT_EQ(describe(chunks),
              (Strings{number("d", 1000, "a", 1.0), number("d", 2000, "a", 2.0),
                       number("d", 2000, "b", 2.5), number("d", 2001, "a", 3.0)}));
  };
  {
    Outbox outbox = open(dir);
    outbox.add_epoch({.since_ms = 2500, .offset_ms = kOffset - 1000});
    ASSERT_TRUE(append(outbox, std::vector{sample("d", 1000, {{"a", 1.0}}),
                                           sample("d", 2000, {{"a", 2.0}, {"b", 2.5}}),
                                           sample("d", 3000, {{"a", 3.0}})}));
    check(outbox);
  }
  Outbox outbox = open(dir, "boot-1", {.since_ms = 4000, .offset_ms = kOffset - 1000});
  check(outbox);
}

TEST(Outbox, BootsThatNothingRefersToAreForgotten) {
  TempDir dir;
  for (int i = 0; i < 5; ++i) open(dir, "boot-" + std::to_string(i));
  Database database = Database::open(dir / "outbox.db").value();
  EXPECT_EQ(database.integer("SELECT count(*) FROM boot").value(), 1);
  EXPECT_EQ(database.integer("SELECT count(*) FROM epoch").value(), 1);
}

TEST(Outbox, ADamagedRowIsSetAsideAndTheRestComes) {
  TempDir dir;
  {
    Outbox outbox = open(dir);
    for (int64_t i = 1; i <= 3; ++i) {
      ASSERT_TRUE(append(outbox, std::vector{sample("d", i, {{"a", 1.0}, {"b", 2.0}})}));
    }
  }
  edit(dir, "UPDATE chunk SET body = zeroblob(length(body)) WHERE id = 1");
  edit(dir, "UPDATE chunk SET t0 = t0 + 1 WHERE id = 3");
  {
    Outbox outbox = open(dir);
    EXPECT_EQ(describe(all(outbox)), (Strings{number("d", 2, "a", 1.0), number("d", 2, "b", 2.0)}));
    EXPECT_EQ(outbox.totals().damaged_rows, 2);
    EXPECT_EQ(outbox.totals().damaged, 4);
    EXPECT_EQ(outbox.totals().rows, 1);
    EXPECT_EQ(outbox.totals().readings, 2);
    EXPECT_EQ(outbox.totals().oldest_utc_ms, kOffset + 2);
    EXPECT_EQ(all(outbox).size(), 1U);
    EXPECT_EQ(outbox.totals().damaged_rows, 2) << "counted once";
    ASSERT_TRUE(outbox.flush_deletes());
  }
  Outbox outbox = open(dir);
  EXPECT_EQ(all(outbox).size(), 1U);
  EXPECT_EQ(outbox.totals().damaged_rows, 0);
  outbox = open(TempDir());  // closes the other
  Database database = Database::open(dir / "outbox.db").value();
  EXPECT_EQ(database.integer("SELECT count(*) FROM damaged").value(), 2);
}

TEST(Outbox, ADamagedFileIsReported) {
  TempDir dir;
  { open(dir); }
  std::filesystem::remove(dir / "outbox.db-wal");
  std::ofstream(dir / "outbox.db", std::ios::binary | std::ios::trunc) << std::string(4096, 'x');
  const auto opened = testing::open_outbox(dir.path(), "boot-1", kNow);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::Corrupt);
}

TEST(Outbox, AppendCostsOneSync) {
  TempDir dir;
  FaultyVfs vfs;
  Outbox outbox = open(dir);
  ASSERT_TRUE(append(outbox, std::vector{sample("d", 1, {{"a", 1.0}})}));
  ASSERT_TRUE(outbox.acknowledge(rows_of(all(outbox))));
  vfs.set_policy(nullptr);
  ASSERT_TRUE(append(outbox, std::vector{sample("d", 2, {{"a", 1.0}}),
                                         sample("new device", 2, {{"new name", 1.0}})}));
  EXPECT_EQ(vfs.syncs(), 1);
  EXPECT_FALSE(outbox.has_waiting_deletes());
}

// Everything a life does, with the n-th call to the disk failing, for every n until none is left
// to fail: never a crash, and what was promised is there, once. With `again` as the store does it:
// what failed is tried again.
void live_through(int code, bool again) {
  FaultyVfs vfs;
  for (int64_t n = 1;; ++n) {
    TempDir dir;
    SCOPED_TRACE("call " + std::to_string(n) + " fails with " + std::to_string(code));
    Strings promised;
    Strings not_promised;
    int64_t calls = 0;
    {
      Outbox outbox = open(dir);
      vfs.set_policy(FaultyVfs::fail_nth(n, code));
      for (int64_t i = 0; i < 4; ++i) {
        const std::string name = "a" + std::to_string(i);  // a new one for the dictionary
        const std::vector samples{sample("d", i, {{name, 1.0}, {"a", 2.0}})};
        const bool stored = append(outbox, samples) || (again && append(outbox, samples));
        Strings& list = stored ? promised : not_promised;
        list.push_back(number("d", i, name, 1.0));
        list.push_back(number("d", i, "a", 2.0));
        if (i != 1) continue;
        const auto chunks = outbox.fetch(0, 1).value();
        ASSERT_TRUE(outbox.acknowledge(std::vector{chunks.front().row}));
        Strings& gone = chunks.front().states[0].time_ms == kOffset ? promised : list;
        gone.erase(gone.begin(), gone.begin() + 2);
      }
      ASSERT_TRUE(outbox.flush_deletes() || outbox.flush_deletes());
      calls = vfs.calls();
      vfs.set_policy(nullptr);
      Strings found = describe(all(outbox));
      std::ranges::sort(promised);
      std::ranges::sort(found);
      ASSERT_EQ(found, promised);
    }
    Outbox outbox = open(dir);
    Strings found = describe(all(outbox));
    std::ranges::sort(found);
    // The transaction that failed last may have reached the WAL whole: then it is there now.
    if (found != promised) {
      ASSERT_FALSE(again);
      promised.insert(promised.end(), not_promised.begin(), not_promised.end());
      std::ranges::sort(promised);
      ASSERT_EQ(found, promised);
    }
    if (calls < n) return;
  }
}

TEST(Outbox, SurvivesAFullDiskAtAnyCall) {
  live_through(SQLITE_FULL, true);
  live_through(SQLITE_FULL, false);
}
TEST(Outbox, SurvivesAFailedWriteAtAnyCall) {
  live_through(SQLITE_IOERR_WRITE, true);
  live_through(SQLITE_IOERR_WRITE, false);
}

TEST(Outbox, ARandomLifeMatchesAModel) {
  const unsigned seed = testing::long_tests() ? std::random_device{}() : 1;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  TempDir dir;
  std::map<int64_t, Strings> model;  // by row, in order
  auto outbox = std::make_unique<Outbox>(open(dir));
  int64_t now = 0;
  for (int step = 0; step < (testing::long_tests() ? 20'000 : 1000); ++step) {
    const auto dice = random() % 10;
    if (dice < 5) {
      std::vector<DeviceSample> samples;
      for (unsigned i = 0; i <= random() % 4; ++i) {
        now += 1 + static_cast<int64_t>(random() % 100);
        samples.push_back(
            sample("d" + std::to_string(random() % 3), now,
                   {{"a" + std::to_string(random() % 5), static_cast<double>(random()) * 0.1}}));
      }
      const int64_t before = outbox->newest_row();
      ASSERT_TRUE(append(*outbox, samples));
      Strings appended;
      for (const auto& s : samples) {
        appended.push_back(describe(*s.device, kOffset + s.time.ms, s.points[0]));
      }
      Strings stored;
      for (const Chunk& chunk : all(*outbox, before)) {
        model[chunk.row] = describe({chunk});
        stored.insert(stored.end(), model[chunk.row].begin(), model[chunk.row].end());
      }
      std::ranges::sort(appended);
      std::ranges::sort(stored);
      ASSERT_EQ(stored, appended);
    } else if (dice < 8) {
      const auto chunks = outbox->fetch(0, 1 + random() % 10).value();
      std::vector<int64_t> rows;
      for (const Chunk& chunk : chunks) {
        if (random() % 4 != 0) rows.push_back(chunk.row);
      }
      ASSERT_TRUE(outbox->acknowledge(rows));
      for (const int64_t row : rows) model.erase(row);
    } else if (dice == 8) {
      ASSERT_TRUE(outbox->flush_deletes());
    } else {
      ASSERT_TRUE(outbox->flush_deletes());
      outbox.reset();
      outbox = std::make_unique<Outbox>(open(dir));
    }
    const auto chunks = all(*outbox);
    ASSERT_EQ(chunks.size(), model.size());
    int64_t readings = 0;
    auto expected = model.begin();
    for (const Chunk& chunk : chunks) {
      ASSERT_EQ(chunk.row, expected->first);
      ASSERT_EQ(describe({chunk}), expected->second);
      readings += static_cast<int64_t>(expected->second.size());
      ++expected;
    }
    ASSERT_EQ(outbox->totals().rows, static_cast<int64_t>(model.size()));
    ASSERT_EQ(outbox->totals().readings, readings);
    ASSERT_EQ(outbox->totals().oldest_utc_ms, chunks.empty() ? 0 : chunks[0].states[0].time_ms);
  }
}

}  // namespace
}  // namespace fieldpost
