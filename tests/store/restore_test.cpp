// SPDX-License-Identifier: Apache-2.0
#include "store/restore.hpp"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/clock.hpp"
#include "damage.hpp"
#include "fakes/faulty_vfs.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost {
namespace {

namespace fs = std::filesystem;
using testing::content_of;
using testing::DamageFixture;
using testing::FaultyVfs;
using testing::Original;
using testing::put;
using testing::sample;
using testing::TempDir;
using Strings = std::vector<std::string>;

constexpr int64_t kMuch = int64_t{1} << 30;
constexpr std::time_t kNow = 1'795'407'382;  // 2026-11-23T04:16:22Z
constexpr size_t kPage = 1024;
constexpr Epoch kEpoch{.since_ms = 0, .offset_ms = 1'700'000'000'000};

void lose_page(const std::string& path, uint32_t page) {
  std::string content = content_of(path);
  content.replace((page - 1) * kPage, kPage, std::string(kPage, '\xff'));
  put(path, content);
}

Strings files_in(const TempDir& dir) {
  Strings names;
  for (const auto& entry : fs::directory_iterator(dir.path())) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

std::map<int64_t, testing::Content> rows_of(const std::string& path) {
  std::map<int64_t, testing::Content> rows;
  Database database = Database::open(path).value();
  Statement select =
      database.prepare("SELECT id, device, boot, t0, n, body FROM chunk ORDER BY id").value();
  while (select.step().value()) {
    rows[select.integer(0)] = {select.integer(1), select.integer(2), select.integer(3),
                               select.integer(4), std::string(select.blob(5))};
  }
  return rows;
}

// What an opener does. Gives back all that is in the outbox.
Strings open_and_read(const TempDir& dir, const std::string& boot = "boot-2") {
  const std::string path = dir / "outbox.db";
  for (int i = 0; i < 2; ++i) {
    auto ready = check_before_opening(path);
    if (ready) {
      auto outbox = testing::open_outbox(dir.path(), boot, kEpoch);
      if (outbox) {
        auto chunks = outbox->fetch(item_id::kBeforeAll, 1'000'000);
        if (chunks) return testing::describe(*chunks);
        ready = chunks.error();
      } else {
        ready = outbox.error();
      }
    }
    EXPECT_EQ(ready.error().code, Errc::Corrupt) << ready.error().message;
    const auto restored = restore(path, kMuch, kNow);
    EXPECT_TRUE(restored) << restored.error().message;
  }
  ADD_FAILURE() << "a restored outbox is damaged";
  return {};
}

Strings fill_small(const TempDir& dir) {
  for (const char* boot : {"boot-1", "boot-2"}) {
    auto outbox = testing::open_outbox(dir.path(), boot, kEpoch).value();
    for (int64_t i = 0; i < 15; ++i) {
      EXPECT_TRUE(testing::append(
          outbox, std::vector{sample("d1", i, {{"a", 1.5}, {"b", std::string(300, 'x')}}),
                              sample("d2", i, {{"c", i % 2 == 0}})}));
    }
  }
  {
    Database database = Database::open(dir / "outbox.db").value();
    EXPECT_EQ(database.integer("PRAGMA wal_checkpoint(TRUNCATE)").value(), 0);
  }
  return open_and_read(dir);
}

TEST(Restore, AnUndamagedOutboxPassesTheLook) {
  TempDir dir;
  EXPECT_TRUE(check_before_opening(dir / "outbox.db")) << "not there yet";
  const Strings before = fill_small(dir);
  EXPECT_EQ(before.size(), 90U);
  const auto looked = check_before_opening(dir / "outbox.db");
  EXPECT_TRUE(looked) << looked.error().message;
  EXPECT_EQ(files_in(dir), (Strings{"outbox.db", "outbox.db-wal"}));
}

TEST(Restore, AStrangersFilePassesTheLook) {
  TempDir dir;
  {
    Database database = Database::open(dir / "outbox.db").value();
    ASSERT_TRUE(database.set_up());
    ASSERT_TRUE(database.exec("CREATE TABLE cats (name TEXT); PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  EXPECT_TRUE(check_before_opening(dir / "outbox.db"));
  EXPECT_EQ(
      Outbox::open(testing::outbox_options(dir.path(), "boot"), testing::symbols()).error().code,
      Errc::Invalid);
}

// Whatever bit of the header it is: nothing is lost, and the outbox opens.
TEST(Restore, NoBitOfTheHeaderStopsTheAgent) {
  TempDir dir;
  const Strings before = fill_small(dir);
  const std::string file = content_of(dir / "outbox.db");
  const std::string wal = content_of(dir / "outbox.db-wal");
  ASSERT_EQ(wal, "") << "page 1 is to be read from the file";
  const size_t step = test::is_long() ? 1 : 3;
  for (size_t bit = 0; bit < size_t{800} && !::testing::Test::HasFailure(); bit += step) {
    SCOPED_TRACE("byte " + std::to_string(bit / 8) + ", bit " + std::to_string(bit % 8));
    for (const std::string& name : files_in(dir)) fs::remove(dir / name);
    std::string broken = file;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    put(dir / "outbox.db", broken);
    EXPECT_EQ(open_and_read(dir), before);
  }
}

TEST(Restore, ANewOutboxHasAllThatCouldBeReadAndTheBrokenOneStandsBeside) {
  for (const bool wal : {false, true}) {
    TempDir dir;
    const std::string path = dir / "outbox.db";
    const DamageFixture fixture(path, wal);
    const Original& o = fixture.original();
    lose_page(path, 2);
    lose_page(path, 400);
    const std::string broken = content_of(path);
    const std::string broken_wal = content_of(path + "-wal");
    const auto restored = restore(path, kMuch, kNow);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(restored->broken, path + ".broken-20261123T041622Z");
    EXPECT_EQ(content_of(restored->broken), broken);
    EXPECT_EQ(content_of(restored->broken + "-wal"), broken_wal);
    EXPECT_EQ(files_in(dir), (Strings{"outbox.db", "outbox.db.broken-20261123T041622Z",
                                      "outbox.db.broken-20261123T041622Z-wal"}));

    auto expected = o.rows;
    std::erase_if(expected,
                  [&](const auto& row) { return o.pages_of.at(row.first).contains(400); });
    auto found = rows_of(path);
    if (wal) {  // page 400 may be one that the WAL has
      EXPECT_GE(found.size(), expected.size());
      std::erase_if(found, [&](const auto& row) { return !expected.contains(row.first); });
    }
    EXPECT_EQ(found, expected);
    const Salvage again = Salvage::read(path).value();
    EXPECT_EQ(again.devices(), o.devices);
    EXPECT_EQ(again.attributes(), o.attributes);
    EXPECT_EQ(again.boots(), o.boots);
    EXPECT_EQ(again.epochs(), o.epochs);
    EXPECT_EQ(again.schema(), newest_schema());
    Database database = Database::open(path).value();
    Statement check = database.prepare("PRAGMA integrity_check").value();
    ASSERT_TRUE(check.step().value());
    EXPECT_EQ(check.text(0), "ok");
  }
}

TEST(Restore, TheNewestBrokenFilesAreKeptWithinTheirLimit) {
  TempDir dir;
  const std::string path = dir / "outbox.db";
  (void)fill_small(dir);
  // The clock stands still, or is set back: names stay different and in order.
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(restore(path, kMuch, kNow - 100 * i));
  EXPECT_EQ(files_in(dir),
            (Strings{"outbox.db", "outbox.db.broken-20261123T041624Z",
                     "outbox.db.broken-20261123T041625Z", "outbox.db.broken-20261123T041626Z"}));
  const auto size = static_cast<int64_t>(fs::file_size(dir / "outbox.db.broken-20261123T041626Z"));
  ASSERT_TRUE(restore(path, 2 * size, kNow));
  EXPECT_EQ(files_in(dir).size(), 3U);
  const auto restored = restore(path, 100, kNow);
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->broken, "");
  EXPECT_EQ(files_in(dir), Strings{"outbox.db"});
}

TEST(Restore, AWalWithoutItsDatabaseIsNotThrownAway) {
  TempDir dir;
  {
    auto outbox = testing::open_outbox(dir.path(), "boot-2", kEpoch).value();
    ASSERT_TRUE(testing::append(outbox, std::vector{sample("d1", 1, {{"a", 1.5}})}));
  }
  const Strings before = open_and_read(dir);
  ASSERT_EQ(before.size(), 1U);
  fs::remove(dir / "outbox.db");
  ASSERT_EQ(check_before_opening(dir / "outbox.db").error().code, Errc::Corrupt);
  EXPECT_EQ(open_and_read(dir), before);
}

TEST(Restore, ANewerProgramsFileIsLeftToIt) {
  TempDir dir;
  const std::string path = dir / "outbox.db";
  const DamageFixture fixture(path);
  {
    Database database = Database::open(path).value();
    ASSERT_TRUE(
        database.exec("UPDATE meta SET value = 1000 WHERE key = 'min_reader';"
                      "PRAGMA user_version = 1000; PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  lose_page(path, 400);
  const std::string before = content_of(path);
  const auto restored = restore(path, kMuch, kNow);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, Errc::Invalid);
  EXPECT_EQ(content_of(path), before);
}

// SQLite would believe it, and use the pages behind once more.
TEST(Restore, APageCountThatLeavesPagesOutIsNoticed) {
  TempDir dir;
  const Strings before = fill_small(dir);
  std::string file = content_of(dir / "outbox.db");
  file[31] = static_cast<char>(file[31] - 1);
  put(dir / "outbox.db", file);
  EXPECT_EQ(check_before_opening(dir / "outbox.db").error().code, Errc::Corrupt);
  EXPECT_EQ(open_and_read(dir), before);
}

// SQLite sees nothing wrong with "temperatuse".
TEST(Restore, AWrongNameIsNoticedAndPutRight) {
  TempDir dir;
  const std::string path = dir / "outbox.db";
  const Strings before = fill_small(dir);
  const auto look = [&] {
    Database database = Database::open(path).value();
    return check_names(database);
  };
  EXPECT_TRUE(look());
  for (const char* damage :
       {"UPDATE attribute SET name = 'q' WHERE name = 'a'",
        "UPDATE device SET id = 33 WHERE id = 1", "UPDATE epoch SET offset_ms = offset_ms + 1",
        "UPDATE boot SET uuid = 'x' WHERE id = 1", "UPDATE mirror SET again = 'x' WHERE id = 1",
        "DELETE FROM mirror WHERE id = 2"}) {
    SCOPED_TRACE(damage);
    {
      Database database = Database::open(path).value();
      ASSERT_TRUE(database.exec(damage));
    }
    const auto looked = look();
    ASSERT_FALSE(looked);
    EXPECT_EQ(looked.error().code, Errc::Corrupt);
    ASSERT_TRUE(restore(path, kMuch, kNow));
    EXPECT_TRUE(look());
    EXPECT_EQ(open_and_read(dir), before);
  }
}

// A min_reader that no version writes is damage, not a newer version.
TEST(Restore, ADamagedMinReaderDoesNotLockTheOutboxUp) {
  TempDir dir;
  const Strings before = fill_small(dir);
  {
    Database database = Database::open(dir / "outbox.db").value();
    ASSERT_TRUE(database.exec("UPDATE meta SET value = 65 WHERE key = 'min_reader'"));
  }
  EXPECT_EQ(open_and_read(dir), before);
}

// The states that a kill leaves between the renames.
TEST(Restore, AnInterruptedExchangeIsFinished) {
  for (int moved = 0; moved < 3; ++moved) {
    SCOPED_TRACE(moved);
    TempDir dir;
    const std::string path = dir / "outbox.db";
    const Strings before = fill_small(dir);
    fs::rename(path, path + ".restored-20260101T000000Z");
    fs::remove(path + "-wal");
    const std::string broken = path + ".broken-20260101T000000Z";
    put(moved < 2 ? path : broken, "database");
    put(moved < 1 ? path + "-wal" : broken + "-wal", "wal");
    ASSERT_TRUE(check_before_opening(path));
    EXPECT_EQ(files_in(dir), (Strings{"outbox.db", "outbox.db.broken-20260101T000000Z",
                                      "outbox.db.broken-20260101T000000Z-wal"}));
    EXPECT_EQ(content_of(broken), "database");
    EXPECT_EQ(content_of(broken + "-wal"), "wal");
    EXPECT_EQ(open_and_read(dir), before);
  }
}

TEST(Restore, KilledAtAnyMomentItLosesNothing) {
  const uint64_t seed = test::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(static_cast<unsigned>(seed));
  TempDir original_dir;
  const DamageFixture fixture(original_dir / "outbox.db", true);
  const auto& expected = fixture.original().rows;
  int killed = 0;
  for (int round = 0; round < (test::is_long() ? 200 : 15); ++round) {
    TempDir dir;
    const std::string path = dir / "outbox.db";
    fs::copy_file(original_dir / "outbox.db", path);
    fs::copy_file(original_dir / "outbox.db-wal", path + "-wal");
    // Longer and longer, so that a slow machine comes to the end and a quick one is killed.
    int64_t most_us = 4'000;
    for (bool done = false; !done; most_us *= 2) {
      const pid_t pid = ::fork();
      if (pid == 0) ::_exit(check_before_opening(path) && restore(path, kMuch, kNow) ? 0 : 1);
      const auto until =
          BootClock::now() + std::chrono::microseconds(random() % static_cast<uint64_t>(most_us));
      int status = 0;
      while (BootClock::now() < until && ::waitpid(pid, &status, WNOHANG) == 0) {
      }
      if (::kill(pid, SIGKILL) == 0) ::waitpid(pid, &status, 0);
      done = WIFEXITED(status);
      ASSERT_TRUE(!done || WEXITSTATUS(status) == 0);
      killed += done ? 0 : 1;
    }
    ASSERT_TRUE(check_before_opening(path));
    ASSERT_EQ(rows_of(path), expected);
    const std::string broken = path + ".broken-20261123T041622Z";
    ASSERT_EQ(content_of(broken), content_of(original_dir / "outbox.db"));
    ASSERT_EQ(content_of(broken + "-wal"), content_of(original_dir / "outbox.db-wal"));
  }
  EXPECT_GT(killed, 0);
}

TEST(Restore, AFullDiskLeavesEverythingAsItWas) {
  TempDir dir;
  const std::string path = dir / "outbox.db";
  const Strings before = fill_small(dir);
  const std::string file = content_of(path);
  FaultyVfs vfs;
  int failures = 0;
  for (int64_t n = 1; n < 10'000; n += test::is_long() ? 1 : 3) {
    SCOPED_TRACE("call " + std::to_string(n));
    vfs.set_policy(FaultyVfs::fail_nth(n, SQLITE_FULL, true));
    const auto restored = restore(path, kMuch, kNow);
    vfs.set_policy(nullptr);
    if (restored) break;
    ++failures;
    EXPECT_EQ(content_of(path), file);
    EXPECT_EQ(files_in(dir), (Strings{"outbox.db", "outbox.db-wal"}));
  }
  EXPECT_GT(failures, 5);
  EXPECT_EQ(open_and_read(dir), before);
}

TEST(Restore, BrokenFilesMakeRoomForReadings) {
  TempDir dir;
  const std::string path = dir / "outbox.db";
  const Strings before = fill_small(dir);
  const std::string old = path + ".broken-20200101T000000Z";
  put(old, "x");
  FaultyVfs vfs;
  vfs.set_policy([&](const FaultyVfs::Call& call) {
    return FaultyVfs::changing(call.op) && fs::exists(old) ? SQLITE_FULL : SQLITE_OK;
  });
  const auto restored = restore(path, kMuch, kNow);
  vfs.set_policy(nullptr);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_FALSE(fs::exists(old));
  EXPECT_EQ(open_and_read(dir), before);
}

}  // namespace
}  // namespace fieldpost
