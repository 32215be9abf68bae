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
#include "store_fixture.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using testing::describe;
using testing::FaultyVfs;
using testing::Gate;
using testing::sample;
using testing::TempDir;

constexpr auto kPatience = 20s;  // a deadline, not a wait: the machine may be busy

// What a main and an uplink would have heard.
class Ears {
 public:
  Store::Sinks sinks() {
    return {.committed = [this](int64_t row) { hear([&] { newest_ = row; }); },
            .chunks =
                [this](std::vector<Chunk> chunks) {
                  hear([&] {
                    ++answers_;
                    chunks_ = std::move(chunks);
                  });
                },
            .status =
                [this](const StoreStatus& status) {
                  hear([&] {
                    status_ = status;
                    ++statuses_;
                  });
                }};
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return heard_.wait_for(lock, kPatience, condition);
  }
  bool wait_for_row(int64_t row) {
    return wait([&] { return newest_ >= row; });
  }
  bool wait_for_answers(int count) {
    return wait([&] { return answers_ >= count; });
  }
  template <class Predicate>
  bool wait_for_status(Predicate predicate) {
    return wait([&] { return predicate(status_); });
  }
  std::vector<Chunk> chunks() {
    const std::scoped_lock lock(mutex_);
    return chunks_;
  }
  int64_t newest() {
    const std::scoped_lock lock(mutex_);
    return newest_;
  }
  StoreStatus status() {
    const std::scoped_lock lock(mutex_);
    return status_;
  }
  int statuses() {
    const std::scoped_lock lock(mutex_);
    return statuses_;
  }

 private:
  template <class F>
  void hear(F f) {
    const std::scoped_lock lock(mutex_);
    f();
    heard_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable heard_;
  int64_t newest_ = -1;
  int answers_ = 0;
  int statuses_ = 0;
  std::vector<Chunk> chunks_;
  StoreStatus status_;
};

Store::Options options(const std::string& folder, std::chrono::nanoseconds delay = 1ms) {
  return {.folder = folder, .boot_id = "boot-1", .commit_delay = delay};
}

std::vector<DeviceSample> one(int64_t ms, double value = 1.0) {
  std::vector<DeviceSample> samples;
  samples.push_back(sample("d", ms, {{"a", value}}));
  return samples;
}

// What is in the folder, after everything was closed.
std::vector<std::string> stored_in(const TempDir& dir) {
  auto outbox = Outbox::open(dir.path(), "boot-1");
  EXPECT_TRUE(outbox) << outbox.error().message;
  return describe(outbox->fetch(0, 1'000'000).value());
}

TEST(Store, TakesAnswersAndForgets) {
  TempDir dir;
  Ears ears;
  Store store(options(dir.path()), ears.sinks());
  store.start();
  ASSERT_TRUE(ears.wait_for_row(0)) << "an open outbox says how far it goes";
  store.append(one(1, 1.5));
  ASSERT_TRUE(ears.wait_for_row(1));
  store.fetch(0, 100);
  ASSERT_TRUE(ears.wait_for_answers(1));
  const auto chunks = ears.chunks();
  ASSERT_EQ(chunks.size(), 1U);
  EXPECT_EQ(*chunks[0].device, "d");
  EXPECT_EQ(chunks[0].states.at(0).points.at(0).value, Value(1.5));
  store.acknowledge({chunks[0].row});
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.acknowledged == 1; }));
  store.fetch(0, 100);
  ASSERT_TRUE(ears.wait_for_answers(2));
  EXPECT_TRUE(ears.chunks().empty());
  EXPECT_TRUE(store.stop(10s));
  EXPECT_EQ(ears.status().appended, 1);
  EXPECT_EQ(ears.status().totals.readings, 0);
  EXPECT_TRUE(stored_in(dir).empty());
}

TEST(Store, CommitsAGroupAtOnce) {
  TempDir dir;
  FaultyVfs vfs;
  Ears ears;
  Store store(options(dir.path(), 200ms), ears.sinks());
  store.start();
  ASSERT_TRUE(ears.wait_for_row(0));
  store.append(one(1));
  ASSERT_TRUE(ears.wait_for_row(1));  // the first ones: file headers, and more than one sync
  vfs.set_policy(nullptr);
  const auto begin = BootClock::now();
  for (int64_t i = 2; i <= 21; ++i) store.append(one(i));
  ASSERT_TRUE(ears.wait_for_row(2));
  EXPECT_GE(BootClock::now() - begin, 200ms) << "after the delay";
  EXPECT_EQ(ears.newest(), 2) << "one row for all";
  EXPECT_EQ(vfs.syncs(), 1) << "and one sync";
}

TEST(Store, DeletesAreNotLeftLyingAround) {
  TempDir dir;
  FaultyVfs vfs;
  Ears ears;
  Store store(options(dir.path()), ears.sinks());
  store.start();
  store.append(one(1));
  ASSERT_TRUE(ears.wait_for_row(1));
  store.fetch(0, 1);
  ASSERT_TRUE(ears.wait_for_answers(1));
  Gate synced;
  synced.close();
  vfs.set_policy([&](const FaultyVfs::Call& call) {
    if (call.op == FaultyVfs::Op::Sync) synced.pass();
    return SQLITE_OK;
  });
  const auto begin = BootClock::now();
  store.acknowledge({1});
  synced.wait_for_stopped();  // nothing else is appended: it commits by itself
  EXPECT_GE(BootClock::now() - begin, 900ms);
  synced.open();
}

TEST(Store, StopCommitsWhatWaits) {
  TempDir dir;
  Ears ears;
  {
    Store store(options(dir.path(), 1h), ears.sinks());
    store.start();
    for (int64_t i = 1; i <= 100; ++i) store.append(one(i));
    EXPECT_TRUE(store.stop(20s));
    store.append(one(999));  // too late, and harmless
  }
  EXPECT_EQ(stored_in(dir).size(), 100U);
}

TEST(Store, WaitsForAFolderThatIsNotThereYet) {
  TempDir dir;
  std::ofstream(dir / "var") << "a file where a folder should be";
  Ears ears;
  Store store(options(dir / "var"), ears.sinks());
  store.start();
  store.append(one(1));
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return !s.trouble.empty(); }));
  EXPECT_NE(ears.status().trouble.find("outbox.db"), std::string::npos) << ears.status().trouble;
  std::filesystem::remove(dir / "var");
  std::filesystem::create_directory(dir / "var");
  ASSERT_TRUE(ears.wait_for_row(1));
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.trouble.empty(); }));
  EXPECT_EQ(ears.status().lost, 0);
}

TEST(Store, KeepsSamplesWhileTheDiskIsFullAndLosesNone) {
  TempDir dir;
  FaultyVfs vfs;
  Ears ears;
  Store store(options(dir.path()), ears.sinks());
  store.start();
  store.append(one(1));
  ASSERT_TRUE(ears.wait_for_row(1));
  vfs.set_policy([](const FaultyVfs::Call& call) {
    return call.op == FaultyVfs::Op::Write ? SQLITE_FULL : SQLITE_OK;
  });
  store.append(one(2));
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return !s.trouble.empty(); }));
  EXPECT_NE(ears.status().trouble.find("full"), std::string::npos) << ears.status().trouble;
  store.append(one(3));
  store.fetch(0, 100);  // what is stored can still be sent
  ASSERT_TRUE(ears.wait_for_answers(1));
  EXPECT_EQ(ears.chunks().size(), 1U);
  vfs.set_policy(nullptr);
  ASSERT_TRUE(ears.wait_for_status(
      [](const StoreStatus& s) { return s.trouble.empty() && s.totals.readings == 3; }));
  EXPECT_TRUE(store.stop(20s));
  EXPECT_EQ(stored_in(dir).size(), 3U);
}

TEST(Store, BeyondItsMemoryItCountsWhatIsLost) {
  TempDir dir;
  Ears ears;
  auto small = options(dir / "missing");
  small.max_waiting_bytes = 10 * (sizeof(DeviceSample) + sizeof(Point));
  Store store(small, ears.sinks());
  store.start();
  for (int64_t i = 0; i < 15; ++i) store.append(one(i));
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.lost == 5; }));
  EXPECT_EQ(ears.status().appended, 10);
  std::filesystem::create_directory(dir / "missing");
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.totals.readings == 10; }));
  store.append(one(100));  // there is room again
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.totals.readings == 11; }));
  EXPECT_EQ(ears.status().lost, 5);
}

TEST(Store, AStalledDiskHoldsNobodyUp) {
  TempDir dir;
  FaultyVfs vfs;
  Gate gate;
  Ears ears;
  auto store = std::make_unique<Store>(options(dir.path()), ears.sinks());
  store->start();
  store->append(one(1));
  ASSERT_TRUE(ears.wait_for_row(1));
  EXPECT_EQ(store->busy_since_ns(), 0);
  gate.close();
  vfs.set_policy([&](const FaultyVfs::Call& call) {
    if (call.op == FaultyVfs::Op::Sync) gate.pass();
    return SQLITE_OK;
  });
  const int64_t before = BootClock::now().time_since_epoch().count();
  store->append(one(2));
  gate.wait_for_stopped();
  EXPECT_GE(store->busy_since_ns(), before);
  for (int64_t i = 3; i < 1000; ++i) store->append(one(i));
  store->fetch(0, 100);
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
  // The thread that was left behind ends by itself, and then the lock of its file is free.
  const auto deadline = BootClock::now() + kPatience;
  std::optional<Outbox> outbox;
  while (!outbox && BootClock::now() < deadline) {
    if (auto opened = Outbox::open(dir.path(), "boot-1")) outbox = *std::move(opened);
  }
  ASSERT_TRUE(outbox);
  // It has everything: also the sample under way when it was left.
  EXPECT_EQ(describe(outbox->fetch(0, 1'000'000).value()).size(), 1000U);
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
  Store store(options(dir.path()), ears.sinks());
  store.start();
  store.append(one(1));
  gate.wait_for_stopped();
  EXPECT_FALSE(store.stop(50ms));
  gate.open();
  const auto deadline = BootClock::now() + kPatience;
  while (ears.status().lost == 0 && ears.newest() < 1 && BootClock::now() < deadline) {
  }
  // Either it was in time to store the sample or it says that it is lost.
  EXPECT_EQ(ears.status().lost == 1, ears.newest() < 1);
}

TEST(Store, ADamagedDatabaseIsReportedAndLeftAlone) {
  TempDir dir;
  const std::string garbage(5000, 'x');
  std::ofstream(dir / "outbox.db") << garbage;
  Ears ears;
  Store store(options(dir.path()), ears.sinks());
  store.start();
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return !s.trouble.empty(); }));
  EXPECT_NE(ears.status().trouble.find("not a database"), std::string::npos)
      << ears.status().trouble;
  EXPECT_TRUE(store.stop(5s)) << "nothing waited";
  EXPECT_EQ(std::filesystem::file_size(dir / "outbox.db"), garbage.size());
}

TEST(Store, AnEpochComesBeforeWhatIsFetchedAfterIt) {
  TempDir dir;
  Ears ears;
  Store store(options(dir.path()), ears.sinks());
  store.start();
  const Epoch now = present_epoch();
  store.append(one(now.since_ms + 10'000));
  ASSERT_TRUE(ears.wait_for_row(1));
  store.append_epoch({.since_ms = now.since_ms + 5000, .offset_ms = 77});
  store.fetch(0, 1);
  ASSERT_TRUE(ears.wait_for_answers(1));
  EXPECT_EQ(ears.chunks().at(0).states.at(0).time_ms, now.since_ms + 10'077);
}

TEST(Store, StatusComesAtMostOnceASecond) {
  TempDir dir;
  Ears ears;
  Store store(options(dir.path()), ears.sinks());
  store.start();
  const auto begin = BootClock::now();
  for (int64_t i = 1; i <= 50; ++i) {
    store.append(one(i));
    ASSERT_TRUE(ears.wait_for_row(i));
  }
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.totals.readings == 50; }));
  const auto seconds = (BootClock::now() - begin) / 1s;
  EXPECT_LE(ears.statuses(), seconds + 2);
}

}  // namespace
}  // namespace fieldpost
