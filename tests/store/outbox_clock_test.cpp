// SPDX-License-Identifier: Apache-2.0
//
// What the outbox knows of time: boots without an epoch, estimated epochs, the high-water mark; and
// a database from before all that.
#include <gtest/gtest.h>

#include "store/database.hpp"
#include "store/outbox.hpp"
#include "store/restore.hpp"
#include "store_fixture.hpp"

namespace fieldpost {
namespace {

using testing::append;
using testing::sample;
using testing::TempDir;

constexpr int64_t kOffset = 1'700'000'000'000;
constexpr int64_t kMinute = 60'000;
constexpr Epoch kKnown{.since_ms = 500, .offset_ms = kOffset};
constexpr Epoch kEstimated{.since_ms = 0, .offset_ms = kOffset + 7, .estimated = true};

Outbox open(const TempDir& dir, const std::string& boot) {
  auto outbox = Outbox::open(testing::outbox_options(dir.path(), boot), testing::symbols());
  EXPECT_TRUE(outbox) << outbox.error().message;
  return *std::move(outbox);
}

void edit(const TempDir& dir, const char* sql) {
  Database database = Database::open(dir / "outbox.db").value();
  const auto done = database.exec(sql);
  ASSERT_TRUE(done) << done.error().message;
}

void add(Outbox& outbox, int64_t ms) {
  ASSERT_TRUE(append(outbox, {sample("d", ms, {{"a", 1.0}})}));
}

// Of each state: its time, and "?" if that is an estimate.
std::vector<std::string> times(Outbox& outbox) {
  std::vector<std::string> all;
  const auto chunks = outbox.fetch(item_id::kBeforeAll, 1'000'000);
  EXPECT_TRUE(chunks) << chunks.error().message;
  for (const Chunk& chunk : *chunks) {
    for (const State& state : chunk.states) {
      all.push_back(std::to_string(state.time_ms - kOffset) + (state.estimated ? "?" : ""));
    }
  }
  return all;
}
using Times = std::vector<std::string>;

// A boot whose time is known, and one that ends without.
void two_boots(const TempDir& dir, std::optional<int64_t> seen_offset) {
  {
    Outbox first = open(dir, "boot-1");
    first.add_epoch(kKnown);
    first.note_clock(kOffset + 5000, kOffset);
    add(first, 1000);
  }
  Outbox second = open(dir, "boot-2");
  second.note_clock(second.high_water_ms(), seen_offset);
  add(second, 2000);
  add(second, 9000);
  add(second, 3000);
  EXPECT_EQ(times(second), Times{"1000"});
  EXPECT_TRUE(second.last_fetch().ended_unstamped);
  EXPECT_EQ(second.totals().unstamped, 3);
}

TEST(OutboxClock, RowsOfABootWithoutAnEpochWaitForIt) {
  for (const std::optional<int64_t> seen : {std::optional<int64_t>(), std::optional<int64_t>(77)}) {
    TempDir dir;
    two_boots(dir, seen);
    {
      Outbox third = open(dir, "boot-3");
      third.add_epoch({.since_ms = 0, .offset_ms = kOffset + 50'000});
      add(third, 1);
      EXPECT_EQ(times(third), Times{"1000"}) << "nothing overtakes them";
      EXPECT_EQ(third.totals().damaged_rows, 0);
      EXPECT_EQ(third.totals().unstamped, 3);
      EXPECT_EQ(third.high_water_ms(), kOffset + 5000);
      ASSERT_EQ(third.unstamped().size(), 1U);
      const EndedBoot ended = third.unstamped()[0];
      EXPECT_EQ(ended.last_ms, 9000);
      EXPECT_EQ(ended.seen_offset_ms, seen);
      third.add_epoch_of_ended(ended.id, kEstimated);
      EXPECT_EQ(times(third), Times{"1000"}) << "not before it is stored";
      EXPECT_TRUE(third.has_waiting_epochs());
      ASSERT_TRUE(third.store_epochs());
      EXPECT_FALSE(third.has_waiting_epochs());
      EXPECT_TRUE(third.unstamped().empty());
      EXPECT_EQ(third.totals().unstamped, 0);
      third.add_epoch_of_ended(ended.id, kKnown);  // it has got one
      EXPECT_FALSE(third.has_waiting_epochs());
    }
    Outbox third = open(dir, "boot-3");
    EXPECT_EQ(times(third), (Times{"1000", "2007?", "9007?", "3007?", "50001"}));
  }
}

TEST(OutboxClock, ARestartInABootWithoutTimeGoesOnWithIt) {
  TempDir dir;
  two_boots(dir, 77);
  Outbox again = open(dir, "boot-2");
  EXPECT_TRUE(again.unstamped().empty()) << "it has not ended";
  EXPECT_EQ(again.totals().unstamped, 3);
  EXPECT_EQ(again.totals().oldest_utc_ms, kOffset + 1000);
  add(again, 4000);
  EXPECT_EQ(again.totals().unstamped, 4);
  again.add_epoch(kKnown);
  ASSERT_TRUE(again.store_epochs());
  EXPECT_EQ(times(again), (Times{"1000", "2000", "9000", "3000", "4000"}));
}

TEST(OutboxClock, ARestoredOutboxLetsThemWaitToo) {
  TempDir dir;
  two_boots(dir, 77);
  const auto restored = restore(dir / "outbox.db", 0);
  ASSERT_TRUE(restored) << restored.error().message;
  {
    Outbox third = open(dir, "boot-3");
    EXPECT_EQ(third.high_water_ms(), kOffset + 5000);
    ASSERT_EQ(third.unstamped().size(), 1U);
    EXPECT_EQ(third.unstamped()[0].last_ms, 9000);
    third.add_epoch_of_ended(third.unstamped()[0].id, kEstimated);
    ASSERT_TRUE(third.store_epochs());
  }
  ASSERT_TRUE(restore(dir / "outbox.db", 0));
  Outbox third = open(dir, "boot-3");
  EXPECT_EQ(times(third), (Times{"1000", "2007?", "9007?", "3007?"}));
}

// The mark alone is worth a write once an hour, and one a minute along with others.
TEST(OutboxClock, TheMarkIsStoredNowAndThen) {
  TempDir dir;
  {
    Outbox outbox = open(dir, "boot-1");
    EXPECT_EQ(outbox.high_water_ms(), 0);
    outbox.note_clock(kOffset, {});
    EXPECT_TRUE(outbox.mark_is_due(false));
    ASSERT_TRUE(outbox.store_epochs());
    EXPECT_FALSE(outbox.mark_is_due(true));
    outbox.note_clock(kOffset + 60 * kMinute - 1, {});
    EXPECT_FALSE(outbox.mark_is_due(false));
    EXPECT_TRUE(outbox.mark_is_due(true));
    outbox.add_epoch(kKnown);
    add(outbox, 1000);
    EXPECT_FALSE(outbox.mark_is_due(true));
    outbox.note_clock(kOffset - 60 * kMinute, {});  // it was wrong
    EXPECT_TRUE(outbox.mark_is_due(false));
  }
  EXPECT_EQ(open(dir, "boot-1").high_water_ms(), kOffset + 60 * kMinute - 1);
}

// As schema 3 left it, also with a boot whose epoch was lost.
TEST(OutboxClock, ADatabaseOfTheSchemaBeforeIsTakenOver) {
  TempDir dir;
  {
    Outbox first = open(dir, "boot-1");
    first.add_epoch(kKnown);
    add(first, 1000);
  }
  {
    Outbox second = open(dir, "boot-2");
    add(second, 2000);
    add(second, 9000);
  }
  edit(dir, R"sql(
    DROP TABLE unstamped;
    DELETE FROM meta WHERE key = 'high_water_ms';
    DROP TRIGGER mirror_epoch;
    DROP TRIGGER forget_epoch;
    ALTER TABLE epoch DROP COLUMN estimated;
    CREATE TRIGGER mirror_epoch AFTER INSERT ON epoch BEGIN
      INSERT INTO mirror (line, again) SELECT l, l
        FROM (SELECT 'epoch ' || NEW.boot || ' ' || NEW.since_ms || ' ' || NEW.offset_ms AS l);
    END;
    CREATE TRIGGER forget_epoch AFTER DELETE ON epoch BEGIN
      DELETE FROM mirror
        WHERE line = 'epoch ' || OLD.boot || ' ' || OLD.since_ms || ' ' || OLD.offset_ms;
    END;
    UPDATE meta SET value = 4 WHERE key = 'min_reader';
    PRAGMA user_version = 4;
  )sql");
  {
    Outbox third = open(dir, "boot-3");
    EXPECT_EQ(times(third), Times{"1000"});
    ASSERT_EQ(third.unstamped().size(), 1U);
    EXPECT_EQ(third.unstamped()[0].last_ms, 9000);
    EXPECT_FALSE(third.unstamped()[0].seen_offset_ms);
    EXPECT_EQ(third.high_water_ms(), 0);
    third.add_epoch({.since_ms = 0, .offset_ms = kOffset + 50'000});
    third.add_epoch_of_ended(third.unstamped()[0].id, kEstimated);
    add(third, 1);
  }
  Outbox third = open(dir, "boot-3");
  EXPECT_EQ(times(third), (Times{"1000", "2007?", "9007?", "50001"}));
}

}  // namespace
}  // namespace fieldpost
