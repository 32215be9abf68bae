// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <optional>

#include "base/clock.hpp"
#include "fakes/faulty_vfs.hpp"
#include "fakes/test_env.hpp"
#include "store/database.hpp"
#include "store_ears.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using testing::describe;
using testing::Ears;
using testing::FaultyVfs;
using testing::Gate;
using testing::kBoot;
using testing::one;
using testing::options;
using testing::present;
using testing::row;
using testing::sample;
using testing::TempDir;
using testing::wait_for_the_lock;

// What is in the folder, after everything was closed.
std::vector<std::string> stored_in(const TempDir& dir) {
  auto outbox = Outbox::open(testing::outbox_options(dir.path(), kBoot), testing::symbols());
  EXPECT_TRUE(outbox) << outbox.error().message;
  return describe(outbox->fetch(item_id::kBeforeAll, 1'000'000).value());
}

TEST(Store, TakesAnswersAndForgets) {
  TempDir dir;
  Ears ears;
  Store store(options(dir.path()), ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  ASSERT_TRUE(ears.wait_for_row(0)) << "an open outbox says how far it goes";
  store.append(one(1, 1.5));
  ASSERT_TRUE(ears.wait_for_row(row(1)));
  store.fetch(Lane::All, item_id::kBeforeAll, 100);
  ASSERT_TRUE(ears.wait_for_answers(1));
  const auto chunks = ears.chunks();
  ASSERT_EQ(chunks.size(), 1U);
  EXPECT_EQ(*chunks[0].device, "d");
  EXPECT_EQ(chunks[0].states.at(0).points.at(0).value, Value(1.5));
  store.acknowledge({chunks[0].row});
  ASSERT_TRUE(
      ears.wait_for_status([](const StoreStatus& s) { return s.totals.acknowledged == 1; }));
  store.fetch(Lane::All, item_id::kBeforeAll, 100);
  ASSERT_TRUE(ears.wait_for_answers(2));
  EXPECT_TRUE(ears.chunks().empty());
  EXPECT_TRUE(store.stop(10s));
  EXPECT_EQ(ears.status().appended, 1);
  EXPECT_EQ(ears.status().totals.readings, 0);
  EXPECT_TRUE(stored_in(dir).empty());
}

// Each in its turn: where rows of an earlier boot lie beside the numbers of this one is chance.
TEST(Store, RowsOfAnEarlierBootAreDeletedWhenTheyAreAcknowledged) {
  TempDir dir;
  for (int boot = 1; boot <= 3; ++boot) {
    Ears ears;
    auto another = options(dir.path());
    another.boot_id.back() = static_cast<char>('0' + boot);
    std::filesystem::remove(dir / "stage.0");
    std::filesystem::remove(dir / "stage.1");
    Store store(another, ears.sinks(), testing::symbols());
    testing::keep(store, present());
    store.start();
    ASSERT_TRUE(ears.wait_for_row(INT64_MIN + 1));
    store.fetch(Lane::All, item_id::kBeforeAll, 100);
    ASSERT_TRUE(ears.wait_for_answers(1));
    ASSERT_EQ(ears.chunks().size(), boot == 1 ? 0U : 2U);
    for (const Chunk& chunk : ears.chunks()) store.acknowledge({chunk.row});
    ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.totals.rows == 0; }));
    for (int64_t i = 1; i <= 2; ++i) {
      store.append(one(i));
      ASSERT_TRUE(ears.wait_for_row(row(i)));
    }
    EXPECT_TRUE(store.stop(10s));
  }
  EXPECT_EQ(stored_in(dir).size(), 2U);
}

TEST(Store, CommitsAGroupAtOnce) {
  TempDir dir;
  FaultyVfs vfs;
  Ears ears;
  Store store(options(dir.path(), 200ms), ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  ASSERT_TRUE(ears.wait_for_row(0));
  store.append(one(1));
  ASSERT_TRUE(ears.wait_for_row(row(1)));  // the first ones: file headers, and more than one sync
  vfs.set_policy(nullptr);
  const auto begin = BootClock::now();
  for (int64_t i = 2; i <= 21; ++i) store.append(one(i));
  ASSERT_TRUE(ears.wait_for_row(row(21)));
  EXPECT_GE(BootClock::now() - begin, 200ms) << "after the delay";
  EXPECT_EQ(ears.newest(), row(21)) << "one row for all";
  EXPECT_EQ(vfs.syncs(), 1) << "and one sync";
}

TEST(Store, DeletesAreNotLeftLyingAround) {
  TempDir dir;
  FaultyVfs vfs;
  Ears ears;
  Store store(options(dir.path()), ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  store.append(one(1));
  ASSERT_TRUE(ears.wait_for_row(row(1)));
  store.fetch(Lane::All, item_id::kBeforeAll, 1);
  ASSERT_TRUE(ears.wait_for_answers(1));
  Gate synced;
  synced.close();
  vfs.set_policy([&](const FaultyVfs::Call& call) {
    if (call.op == FaultyVfs::Op::Sync) synced.pass();
    return SQLITE_OK;
  });
  const auto begin = BootClock::now();
  store.acknowledge({row(1)});
  synced.wait_for_stopped();  // nothing else is appended: it commits by itself
  EXPECT_GE(BootClock::now() - begin, 900ms);
  synced.open();
}

TEST(Store, StopCommitsWhatWaits) {
  TempDir dir;
  Ears ears;
  {
    Store store(options(dir.path(), 1h), ears.sinks(), testing::symbols());
    testing::keep(store, present());
    store.start();
    for (int64_t i = 1; i <= 100; ++i) store.append(one(i));
    EXPECT_TRUE(store.stop(20s));
    store.append(one(999));  // too late, and harmless
  }
  EXPECT_EQ(stored_in(dir).size(), 100U);
}

// With the disk's other writes, so that it costs none of its own while all is acknowledged in time.
TEST(Store, ANoteIsWrittenAtTheStartAndAtTheEnd) {
  TempDir dir;
  Ears ears;
  Store::Options wanted = options(dir.path());
  wanted.notes = {{.path = dir / "note"}};
  Store store(wanted, ears.sinks(), testing::symbols());
  store.keep_note(0, "at the start");
  EXPECT_FALSE(std::filesystem::exists(dir / "note"));
  store.start();
  ASSERT_TRUE(ears.wait_for_row(0));
  EXPECT_EQ(testing::content_of(dir / "note"), "at the start");
  store.keep_note(0, "in between");
  store.append(one(1, 1.5));
  ASSERT_TRUE(ears.wait_for_row(row(1)));
  EXPECT_EQ(testing::content_of(dir / "note"), "at the start") << "not with each flush";
  store.keep_note(0, "at the end");
  EXPECT_TRUE(store.stop(10s));
  EXPECT_EQ(testing::content_of(dir / "note"), "at the end");
}

// Nor does it wait for a flush, or for an outbox that can be opened.
TEST(Store, ANoteWithAPeriodIsWrittenWhenThatIsOver) {
  TempDir dir;
  Ears ears;
  std::filesystem::create_directory(dir / "outbox.db");  // where a file should be
  Store::Options wanted = options(dir.path());
  wanted.notes = {{.path = dir / "never"}, {.path = dir / "note", .period = 50ms}};
  Store store(wanted, ears.sinks(), testing::symbols());
  store.start();
  for (const std::string text : {"first", "second", "third"}) {
    store.keep_note(1, text);
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!std::filesystem::exists(dir / "note") || testing::content_of(dir / "note") != text) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << text;
      std::this_thread::yield();
    }
  }
  store.keep_note(1, "last");
  (void)store.stop(1s);
  EXPECT_EQ(testing::content_of(dir / "note"), "last");
}

TEST(Store, WaitsForAFolderThatIsNotThereYet) {
  TempDir dir;
  std::ofstream(dir / "var") << "a file where a folder should be";
  Ears ears;
  Store store(options(dir / "var"), ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  store.append(one(1));
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return !s.trouble.empty(); }));
  EXPECT_NE(ears.status().trouble.find("outbox.db"), std::string::npos) << ears.status().trouble;
  std::filesystem::remove(dir / "var");
  std::filesystem::create_directory(dir / "var");
  ASSERT_TRUE(ears.wait_for_row(row(1)));
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.trouble.empty(); }));
  EXPECT_EQ(ears.status().lost, 0);
}

TEST(Store, KeepsSamplesWhileTheDiskIsFullAndLosesNone) {
  TempDir dir;
  FaultyVfs vfs;
  Ears ears;
  Store store(options(dir.path()), ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  store.append(one(1));
  ASSERT_TRUE(ears.wait_for_row(row(1)));
  vfs.set_policy([](const FaultyVfs::Call& call) {
    return call.op == FaultyVfs::Op::Write ? SQLITE_FULL : SQLITE_OK;
  });
  store.append(one(2));
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return !s.trouble.empty(); }));
  EXPECT_NE(ears.status().trouble.find("full"), std::string::npos) << ears.status().trouble;
  store.append(one(3));
  store.fetch(Lane::All, item_id::kBeforeAll, 100);  // what is stored can still be sent
  ASSERT_TRUE(ears.wait_for_answers(1));
  EXPECT_EQ(ears.chunks().size(), 1U);
  vfs.set_policy(nullptr);
  ASSERT_TRUE(ears.wait_for_status(
      [](const StoreStatus& s) { return s.trouble.empty() && s.totals.readings == 3; }));
  EXPECT_TRUE(store.stop(20s));
  EXPECT_EQ(stored_in(dir).size(), 3U);
}

TEST(Store, BeyondStage1TheOldestGoesAndIsCounted) {
  TempDir dir;
  Ears ears;
  auto no_disk = options(dir / "missing");
  no_disk.run_folder = dir.path();
  Store store(no_disk, ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  const auto large = [](int64_t i) {
    return std::vector{
        sample("d", i, {{"a", std::string(60'000, static_cast<char>('a' + i % 26))}})};
  };
  for (int64_t i = 0; i < 40; ++i) store.append(large(i));
  const StoreStatus full = store.status();
  EXPECT_EQ(full.lost, 0);
  EXPECT_GT(full.dropped, 10);
  EXPECT_EQ(full.appended, 40);
  EXPECT_EQ(full.staged, full.appended - full.dropped);
  ASSERT_EQ(full.given_up.size(), 1U);
  EXPECT_EQ(full.given_up[0].attribute, "a");
  std::filesystem::create_directory(dir / "missing");
  ASSERT_TRUE(
      ears.wait_for_status([&](const StoreStatus& s) { return s.totals.readings == full.staged; }));
  store.append(large(100));  // there is room again
  ASSERT_TRUE(ears.wait_for_status(
      [&](const StoreStatus& s) { return s.totals.readings == full.staged + 1; }));
  EXPECT_EQ(store.status().dropped, full.dropped);
  ASSERT_TRUE(store.stop(10s));
}

TEST(Store, AStalledDiskHoldsNobodyUp) {
  TempDir dir;
  FaultyVfs vfs;
  Gate gate;
  Ears ears;
  auto store = std::make_unique<Store>(options(dir.path()), ears.sinks(), testing::symbols());
  testing::keep(*store, present());
  store->start();
  store->append(one(1));
  ASSERT_TRUE(ears.wait_for_row(row(1)));
  // It tells of the row before it is done with it.
  ASSERT_TRUE(test::eventually([&] { return store->status().busy_since_ns == 0; }));
  gate.close();
  vfs.set_policy([&](const FaultyVfs::Call& call) {
    if (call.op == FaultyVfs::Op::Sync) gate.pass();
    return SQLITE_OK;
  });
  const int64_t before = BootClock::now().time_since_epoch().count();
  store->append(one(2));
  gate.wait_for_stopped();
  EXPECT_GE(store->status().busy_since_ns, before);
  for (int64_t i = 3; i < 1000; ++i) store->append(one(i));
  store->fetch(Lane::All, item_id::kBeforeAll, 100);
  gate.open();  // what was posted meanwhile is done in its order
  ASSERT_TRUE(ears.wait_for_answers(1));
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.totals.readings >= 998; }));
  gate.close();
  store->append(one(5000));
  gate.wait_for_stopped();
  const auto begin = BootClock::now();
  EXPECT_FALSE(store->stop(100ms)) << "the disk did not let it";
  EXPECT_LT(BootClock::now() - begin, 5s);
  store.reset();  // nor does this wait
  gate.open();
  std::optional<Outbox> outbox = wait_for_the_lock(dir);
  ASSERT_TRUE(outbox);
  // It has everything: also the sample under way when it was left.
  EXPECT_EQ(describe(outbox->fetch(item_id::kBeforeAll, 1'000'000).value()).size(), 1000U);
}

TEST(Store, AStalledOpeningDoesNotHoldUpTheEnd) {
  TempDir dir;
  FaultyVfs vfs;
  Gate gate;
  gate.close();
  vfs.set_policy([&](const FaultyVfs::Call& call) {
    if (call.op == FaultyVfs::Op::Open) gate.pass();
    return SQLITE_OK;
  });
  Ears ears;
  Store store(options(dir.path()), ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  store.append(one(1));
  gate.wait_for_stopped();
  EXPECT_FALSE(store.stop(50ms));
  gate.open();
  wait_for_the_lock(dir);
  // What the thread that was left behind had no time for is still in stage 1.
  Ears again_ears;
  Store again(options(dir.path()), again_ears.sinks(), testing::symbols());
  again.start();
  ASSERT_TRUE(
      again_ears.wait_for_status([](const StoreStatus& s) { return s.totals.readings == 1; }));
}

// Files beside the outbox that hold what was broken.
int broken_files(const TempDir& dir) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    const std::string name = entry.path().filename();
    if (name.starts_with("outbox.db.broken-") && !name.ends_with("-wal")) ++count;
  }
  return count;
}

TEST(Store, ADamagedDatabaseIsReplacedAndKeptBesideIt) {
  TempDir dir;
  std::ofstream(dir / "outbox.db") << std::string(5000, 'x');
  Ears ears;
  Store store(options(dir.path()), ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  store.append(one(1));
  ASSERT_TRUE(ears.wait_for_row(row(1)));
  EXPECT_EQ(broken_files(dir), 1);
  EXPECT_EQ(store.status().trouble, "");
}

TEST(Store, DamageToADatabaseCostsWhatStoodThereAndNothingElse) {
  TempDir dir;
  {
    Ears ears;
    Store store(options(dir.path()), ears.sinks(), testing::symbols());
    testing::keep(store, present());
    store.start();
    for (int64_t i = 1; i <= 40; ++i) {
      store.append({sample("d", i, {{"a", std::string(700, 'x') + std::to_string(i)}})});
      ASSERT_TRUE(ears.wait_for_row(row(i)));
    }
    EXPECT_TRUE(store.stop(20s));
  }
  {
    Database database = Database::open(dir / "outbox.db").value();
    ASSERT_EQ(database.integer("PRAGMA wal_checkpoint(TRUNCATE)").value(), 0);
  }
  {  // the page that says where everything is
    std::fstream file(dir / "outbox.db", std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(100);
    file << std::string(900, '?');
  }
  Ears ears;
  Store store(options(dir.path()), ears.sinks(), testing::symbols());
  store.start();
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.totals.readings == 40; }));
  store.append(one(100));
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.totals.readings == 41; }));
  EXPECT_EQ(broken_files(dir), 1);
}

TEST(Store, AnEpochComesBeforeWhatIsFetchedAfterIt) {
  TempDir dir;
  Ears ears;
  Store::Options real = options(dir.path());
  real.now_ms = Store::Options().now_ms;  // samples are of now, which may be long after the boot
  Store store(real, ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  const Epoch now = present();
  store.append(one(now.since_ms + 10'000));
  ASSERT_TRUE(ears.wait_for_row(row(1)));
  testing::keep(store, {.since_ms = now.since_ms + 5000, .offset_ms = 77});
  store.fetch(Lane::All, item_id::kBeforeAll, 1);
  ASSERT_TRUE(ears.wait_for_answers(1));
  EXPECT_EQ(ears.chunks().at(0).states.at(0).time_ms, now.since_ms + 10'077);
}

TEST(Store, StatusComesAtMostOnceASecond) {
  TempDir dir;
  Ears ears;
  Store store(options(dir.path()), ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  const auto begin = BootClock::now();
  for (int64_t i = 1; i <= 50; ++i) {
    store.append(one(i));
    ASSERT_TRUE(ears.wait_for_row(row(i)));
  }
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.totals.readings == 50; }));
  const auto seconds = (BootClock::now() - begin) / 1s;
  EXPECT_LE(ears.statuses(), seconds + 2);
}

}  // namespace
}  // namespace fieldpost
