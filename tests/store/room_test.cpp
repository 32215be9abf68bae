// SPDX-License-Identifier: Apache-2.0
#include "store/room.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <map>
#include <set>

#include "fakes/faulty_vfs.hpp"
#include "fakes/test_env.hpp"
#include "store_fixture.hpp"

namespace fieldpost {
namespace {

using testing::FaultyVfs;
using testing::sample;

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kHourMs = kThinHourMs;
constexpr Epoch kNow{.since_ms = 0, .offset_ms = 1'700'000'000'000 / kHourMs * kHourMs};

Room::Options least(const std::string& folder) {
  return {.folder = folder, .max_size = Room::kWalReserve + Ballast::kBytes + kMiB};
}

// Of an hour: its least and greatest value.
using Hours = std::map<int64_t, std::pair<double, double>>;

void add(Hours& hours, int64_t ms, double value) {
  const auto [it, is_new] = hours.emplace(ms / kHourMs, std::pair(value, value));
  it->second.first = std::min(it->second.first, value);
  it->second.second = std::max(it->second.second, value);
}

class RoomTest : public ::testing::Test {
 protected:
  Outbox open(const std::string& folder) {
    auto outbox = testing::open_outbox(folder, "boot-1", kNow);
    EXPECT_TRUE(outbox) << outbox.error().message;
    return *std::move(outbox);
  }
  // An hour of readings that do not shrink; refused when the limit is reached.
  Result<> append_hour(Outbox& outbox) {
    std::vector<DeviceSample> samples;
    for (int64_t i = 0; i < 60; ++i) {
      const int64_t ms = hours_ * kHourMs + i * 60'000;
      const auto odd = static_cast<double>(static_cast<uint64_t>(ms) * 2654435761 % 1'000'003) / 7;
      samples.push_back(sample("d", ms, {{"a", odd}, {"b", odd}}));
      add(truth_, ms, odd);
    }
    ++hours_;
    return testing::append(outbox, samples);
  }
  void fill(Outbox& outbox, Room& room) {
    ASSERT_TRUE(room.opened(outbox));
    auto appended = append_hour(outbox);
    while (appended) appended = append_hour(outbox);
    ASSERT_EQ(appended.error().code, Errc::Full) << appended.error().message;
    --hours_;
    truth_.erase(hours_);
  }
  // What is there, by itself and as the sums say.
  Hours check(const std::string& folder) {
    Hours left;
    int64_t readings = 0;
    Outbox outbox = open(folder);
    const auto chunks = outbox.fetch(item_id::kBeforeAll, 10'000'000);
    EXPECT_TRUE(chunks) << chunks.error().message;
    for (const Chunk& chunk : *chunks) {
      for (const State& state : chunk.states) {
        for (const Point& p : state.points) {
          ++readings;
          add(left, state.time_ms - kNow.offset_ms, std::get<double>(p.value));
        }
      }
    }
    EXPECT_EQ(outbox.totals().damaged_rows, 0);
    EXPECT_EQ(outbox.totals().readings, readings);
    EXPECT_EQ(outbox.totals().rows, static_cast<int64_t>(chunks->size()));
    expect_sums(outbox.totals(), folder + "/outbox.db");
    return left;
  }
  void expect_sums(const OutboxTotals& totals, const std::string& path) {
    // A second connection would not be let in: a copy.
    const test::TempDir copy(test::tmpfs());
    for (const char* end : {"", "-wal"}) {
      std::error_code missing;
      std::filesystem::copy_file(path + end, copy / (std::string("outbox.db") + end), missing);
    }
    Database database = Database::open(copy / "outbox.db").value();
    EXPECT_EQ(database.integer("SELECT sum(length(body) + 32) FROM chunk").value(), totals.bytes);
    EXPECT_EQ(database
                  .integer("SELECT count(*) FROM thinned WHERE id NOT IN "
                           "(SELECT id FROM chunk)")
                  .value(),
              0);
  }

  test::TempDir dir_{test::tmpfs()};
  Toll toll_;
  Handover handover_;
  Hours truth_;
  int64_t hours_ = 0;
};

TEST_F(RoomTest, AStepIsOneTransactionOfBoundedLength) {
  FaultyVfs vfs;
  Outbox outbox = open(dir_.path());
  Room room(least(dir_.path()), toll_);
  fill(outbox, room);
  int64_t frames = 0;
  int64_t most = 0;
  int syncs = 0;
  vfs.set_policy([&](const FaultyVfs::Call& call) {
    const bool wal = std::string_view(call.path).ends_with("-wal");
    if (wal && call.op == FaultyVfs::Op::Write && call.size == kPageBytes) ++frames;
    if (wal && call.op == FaultyVfs::Op::Sync) {
      ++syncs;
      most = std::max(most, std::exchange(frames, 0));
    }
    return SQLITE_OK;
  });
  const int64_t rows = outbox.totals().rows;
  int steps = 0;
  for (; room.due() == BootTime{} && steps < 1000; ++steps) {
    ASSERT_TRUE(room.step(outbox, handover_, BootClock::now()));
    ASSERT_LE(frames, kMaxStepBytes / kPageBytes * 4);
    most = std::max(most, frames);
    frames = 0;
  }
  EXPECT_GT(steps, 5);
  EXPECT_LT(outbox.totals().rows, rows);
  EXPECT_GT(most, 0);
  EXPECT_LE(syncs, steps + 2) << "beside a checkpoint";
  EXPECT_LE(outbox.space().value().used(), kMiB / kPageBytes * 90 / 100);
}

TEST_F(RoomTest, SumsStayTrueRoundAfterRound) {
  {
    Outbox outbox = open(dir_.path());
    Room room(least(dir_.path()), toll_);
    for (int i = 0; i < 5; ++i) {
      fill(outbox, room);
      while (room.due() == BootTime{}) ASSERT_TRUE(room.step(outbox, handover_, BootClock::now()));
    }
  }
  EXPECT_EQ(toll_.dropped(), 0);
  EXPECT_TRUE(check(dir_.path()) == truth_);
}

// Whichever call fails, and all after it: what is found afterwards is whole, with true sums, and
// no hour has lost its extremes.
TEST_F(RoomTest, AStepIsDoneOrNotDone) {
  FaultyVfs vfs;
  {
    Outbox outbox = open(dir_.path());
    Room room(least(dir_.path()), toll_);
    fill(outbox, room);
  }
  int64_t fails = 0;
  for (int64_t n = 1;; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    const test::TempDir copy(test::tmpfs());
    std::filesystem::copy(dir_.path(), copy.path(), std::filesystem::copy_options::recursive);
    bool failed = false;
    int64_t thinned = 0;
    {
      Outbox outbox = open(copy.path());
      Toll toll;
      Room room(least(copy.path()), toll);
      ASSERT_TRUE(room.opened(outbox));
      vfs.set_policy(FaultyVfs::fail_nth(n, SQLITE_IOERR, true));
      for (int i = 0; i < 4 && !failed; ++i) {
        failed = !room.step(outbox, handover_, BootClock::now());
      }
      thinned = toll.thinned();
    }
    vfs.set_policy(nullptr);
    ASSERT_TRUE(check(copy.path()) == truth_);
    if (!failed) {
      EXPECT_GT(thinned, 0);
      break;
    }
    ++fails;
  }
  EXPECT_GT(fails, 20);
}

TEST_F(RoomTest, ARowThatIsOnItsWayStaysAsItIsUntilNothingElseIsLeft) {
  Outbox outbox = open(dir_.path());
  Room room(least(dir_.path()), toll_);
  fill(outbox, room);
  const auto held = outbox.fetch(item_id::kBeforeAll, 1000).value();
  ASSERT_GE(held.size(), 5U);
  while (room.due() == BootTime{}) ASSERT_TRUE(room.step(outbox, handover_, BootClock::now()));
  EXPECT_GT(toll_.thinned(), 0);
  std::vector<int64_t> ids;
  for (const Chunk& chunk : held) ids.push_back(chunk.row);
  const int64_t before = outbox.totals().readings;
  ASSERT_TRUE(outbox.acknowledge(ids));
  EXPECT_EQ(before - outbox.totals().readings, static_cast<int64_t>(held.size()) * 120);
}

// A new session asks from the beginning: what the one before had is its no more.
TEST_F(RoomTest, WhatIsAskedForAgainIsHeldNoMore) {
  Outbox outbox = open(dir_.path());
  Room room(least(dir_.path()), toll_);
  fill(outbox, room);
  ASSERT_FALSE(outbox.fetch(item_id::kBeforeAll, 10'000'000).value().empty());
  ASSERT_EQ(outbox.fetch(item_id::kBeforeAll, 1).value().size(), 1U);
  const auto first = outbox.next_row(0, handover_).value();
  EXPECT_TRUE(first->held);
  EXPECT_FALSE(outbox.next_row(first->id, handover_).value()->held);
}

// Two cursors: what one of them asks for again takes nothing from the other.
TEST_F(RoomTest, WhatTheOtherLaneHoldsStaysHeld) {
  Outbox outbox = open(dir_.path());
  Room room(least(dir_.path()), toll_);
  fill(outbox, room);
  const auto held = [&] {
    std::vector<int64_t> rows;
    for (int64_t row = 0;;) {
      const auto next = outbox.next_row(row, handover_).value();
      if (!next) return rows;
      row = next->id;
      if (next->held) rows.push_back(row);
    }
  };
  const auto live = outbox.fetch_newest(handover_).value();
  const std::vector<int64_t> newest = held();
  ASSERT_EQ(newest.size(), live.size());
  const auto backlog = outbox.fetch(item_id::kBeforeAll, 1, handover_, Lane::Backlog).value();
  ASSERT_EQ(backlog.size(), 1U);
  EXPECT_EQ(held().size(), newest.size() + 1) << "the backlog begins before what is live";
  (void)outbox.fetch_newest(handover_).value();
  EXPECT_EQ(held().size(), newest.size() + 1) << "live begins anew beside the backlog";
  // The backlog comes to what left as live, and begins anew: that is still on its way.
  (void)outbox.fetch(item_id::kBeforeAll, 10'000'000, handover_, Lane::Backlog).value();
  (void)outbox.fetch(item_id::kBeforeAll, 1, handover_, Lane::Backlog).value();
  EXPECT_EQ(held().size(), newest.size() + 1);
  (void)outbox.fetch(item_id::kBeforeAll, 1, handover_).value();
  EXPECT_EQ(held().size(), 1U) << "in one lane nothing else is held";
}

// What was dropped although the uplink had it is acknowledged to no effect.
TEST_F(RoomTest, AnAcknowledgementOfADroppedRowIsPassedOver) {
  Outbox outbox = open(dir_.path());
  Room room(least(dir_.path()), toll_);
  fill(outbox, room);
  const auto held = outbox.fetch(item_id::kBeforeAll, 10'000'000).value();
  for (int i = 0; i < 10'000 && toll_.dropped() == 0; ++i) {
    ASSERT_TRUE(room.make_way(outbox, 1000));
    ASSERT_TRUE(room.step(outbox, handover_, BootClock::now()));
  }
  ASSERT_GT(toll_.dropped(), 0);
  const OutboxTotals left = outbox.totals();
  EXPECT_LT(left.rows, static_cast<int64_t>(held.size()));
  ASSERT_TRUE(outbox.acknowledge(std::vector{held.front().row}));
  EXPECT_EQ(outbox.totals().rows, left.rows);
  EXPECT_EQ(outbox.totals().readings, left.readings);
}

// A limit that was lowered: rows give way at once, the file when it is nearly empty.
TEST_F(RoomTest, ALowerLimitShrinksTheFileOnceItIsNearlyEmpty) {
  {
    Outbox outbox = open(dir_.path());
    while (outbox.space().value().pages < 4 * kMiB / kPageBytes) ASSERT_TRUE(append_hour(outbox));
  }
  Outbox outbox = open(dir_.path());
  Room room(least(dir_.path()), toll_);
  ASSERT_TRUE(room.opened(outbox));
  while (room.due() == BootTime{}) ASSERT_TRUE(room.step(outbox, handover_, BootClock::now()));
  const int64_t limit = kMiB / kPageBytes;
  EXPECT_LE(outbox.space().value().pages, limit);
  ASSERT_TRUE(outbox.checkpoint());
  EXPECT_LE(std::filesystem::file_size(dir_ / "outbox.db"), static_cast<uintmax_t>(2 * kMiB));
}

// A start reads sums, and counts nothing.
TEST_F(RoomTest, OpeningABacklogReadsLittle) {
  FaultyVfs vfs;
  {
    Outbox outbox = open(dir_.path());
    for (int i = 0; i < 10; ++i) {
      // Of one millisecond: each is a row of its own.
      ASSERT_TRUE(testing::append(outbox, std::vector(10'000, sample("d", i, {{"a", 1.0}}))));
    }
    ASSERT_EQ(outbox.totals().rows, 100'000);
  }
  {
    Database database = Database::open(dir_ / "outbox.db").value();
    ASSERT_TRUE(database.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  int reads = 0;
  vfs.set_policy([&](const FaultyVfs::Call& call) {
    if (call.op == FaultyVfs::Op::Read) ++reads;
    return SQLITE_OK;
  });
  Outbox outbox = open(dir_.path());
  Room room({.folder = dir_.path(), .max_size = 100 * kMiB}, toll_);
  ASSERT_TRUE(room.opened(outbox));
  ASSERT_TRUE(room.step(outbox, handover_, BootClock::now()));
  EXPECT_EQ(outbox.totals().rows, 100'000);
  EXPECT_LE(reads, 60) << "of 7,000 pages";
}

}  // namespace
}  // namespace fieldpost
