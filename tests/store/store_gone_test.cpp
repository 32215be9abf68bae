// SPDX-License-Identifier: Apache-2.0
//
// Files and folders that go away, or change, under a running Store.
#include <filesystem>

#include "store_ears.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture
namespace fs = std::filesystem;

// A Store with its outbox in dir/state and stage 1 in dir/run, and 3 readings on the disk.
class StoreGone : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(state_);
    fs::create_directory(run_);
    begin();
    for (int64_t i = 1; i <= 3; ++i) {
      append(i);
      ASSERT_TRUE(on_the_disk(i));
    }
  }
  void begin() {
    ears_.emplace();
    Store::Options o = options(state_);
    o.run_folder = run_;
    store_.emplace(o, ears_->sinks(), testing::symbols());
    testing::keep(*store_, present());
    store_->start();
  }
  void append(int64_t ms) { store_->append(one(ms, static_cast<double>(ms))); }
  bool on_the_disk(int64_t readings) {
    return ears_->wait_for_status([=](const StoreStatus& s) {
      return s.trouble.empty() && s.totals.readings == readings && s.staged == 0;
    });
  }
  // The database has its name again, and the store has opened it.
  bool back() const {
    const auto deadline = BootClock::now() + kPatience;
    while (!fs::exists(state_ + "/outbox.db-wal") && BootClock::now() < deadline) {
      std::this_thread::sleep_for(1ms);
    }
    return fs::exists(state_ + "/outbox.db");
  }
  bool wait_for_trouble(const std::string& words) {
    return ears_->wait_for_status(
        [=](const StoreStatus& s) { return s.trouble.find(words) != std::string::npos; });
  }
  // Values of what a later process finds, as a kill leaves it: nothing is brought to the disk.
  std::vector<double> found_after_a_kill() const {
    fs::copy(state_, dir_ / "later");
    auto later = Outbox::open(outbox_options(dir_ / "later", kBoot), testing::symbols());
    EXPECT_TRUE(later) << later.error().message;
    const std::vector<Chunk> chunks = later->fetch(item_id::kBeforeAll, 1'000'000).value();
    std::vector<double> values;
    for (const Chunk& chunk : chunks) {
      for (const State& state : chunk.states) {
        values.push_back(std::get<double>(state.points.at(0).value));
      }
    }
    return values;
  }
  int kept_aside() const {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(state_)) {
      const std::string name = entry.path().filename();
      if (name.find(".broken-") != std::string::npos && !name.ends_with("-wal")) ++count;
    }
    return count;
  }

  TempDir dir_;
  const std::string state_ = dir_ / "state", run_ = dir_ / "run";
  std::optional<Ears> ears_;
  std::optional<Store> store_;
};

TEST_F(StoreGone, ARemovedDatabaseIsBackWithAllThatWasInIt) {
  fs::remove(state_ + "/outbox.db");
  fs::remove(state_ + "/outbox.db-wal");
  append(4);
  ASSERT_TRUE(back());
  ASSERT_TRUE(on_the_disk(4));
  EXPECT_EQ(found_after_a_kill(), (std::vector<double>{1, 2, 3, 4}));
}

TEST_F(StoreGone, ARemovedFolderIsMadeAgain) {
  fs::remove_all(state_);
  append(4);
  ASSERT_TRUE(back());
  ASSERT_TRUE(on_the_disk(4));
  EXPECT_EQ(found_after_a_kill(), (std::vector<double>{1, 2, 3, 4}));
}

// It has what was committed last.
TEST_F(StoreGone, ARemovedWalIsMissedToo) {
  fs::remove(state_ + "/outbox.db-wal");
  append(4);
  ASSERT_TRUE(back());
  ASSERT_TRUE(on_the_disk(4));
  EXPECT_EQ(found_after_a_kill(), (std::vector<double>{1, 2, 3, 4}));
}

TEST_F(StoreGone, NoSampleIsNeededToNoticeIt) {
  fs::remove_all(state_);
  ASSERT_TRUE(back());
  ASSERT_TRUE(on_the_disk(3));
  EXPECT_EQ(found_after_a_kill(), (std::vector<double>{1, 2, 3}));
}

TEST_F(StoreGone, WhatWasPutInItsPlaceIsKeptBeside) {
  fs::rename(state_, dir_ / "elsewhere");
  fs::create_directory(state_);
  {
    Outbox other = testing::open_outbox(state_, kBoot, present()).value();
    ASSERT_TRUE(testing::append(other, one(9, 9.0)));
  }
  append(4);
  const auto deadline = BootClock::now() + kPatience;
  while (kept_aside() == 0 && BootClock::now() < deadline) std::this_thread::sleep_for(1ms);
  ASSERT_TRUE(back());
  ASSERT_TRUE(on_the_disk(4));
  EXPECT_EQ(found_after_a_kill(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(kept_aside(), 1);
}

TEST_F(StoreGone, UntilThereIsAPlaceForItReadingsWaitAndAreStillSent) {
  fs::rename(state_, dir_ / "elsewhere");
  put(state_, "a file where the folder was");
  ASSERT_TRUE(wait_for_trouble("is gone from '" + state_ + "'")) << ears_->status().trouble;
  EXPECT_NE(ears_->status().trouble.find("Not a directory"), std::string::npos);
  append(4);
  EXPECT_EQ(store_->status().staged, 1);
  store_->fetch(Lane::All, item_id::kBeforeAll, 100);
  ASSERT_TRUE(ears_->wait_for_answers(1));
  EXPECT_EQ(describe(ears_->chunks()).size(), 3U);
  std::vector<int64_t> first{ears_->chunks().at(0).row};
  store_->acknowledge(std::move(first));
  ASSERT_TRUE(ears_->wait_for_status([](const StoreStatus& s) { return s.waiting() == 3; }));
  fs::remove(state_);
  ASSERT_TRUE(back());
  ASSERT_TRUE(on_the_disk(3));
  EXPECT_EQ(found_after_a_kill(), (std::vector<double>{2, 3, 4})) << "what was sent is not again";
  EXPECT_EQ(ears_->status().lost, 0);
}

TEST_F(StoreGone, RowsKeepTheirNumbers) {
  store_->fetch(Lane::All, item_id::kBeforeAll, 2);
  ASSERT_TRUE(ears_->wait_for_answers(1));
  std::vector<int64_t> rows = rows_of(ears_->chunks());
  ASSERT_EQ(rows.size(), 2U);
  fs::remove_all(state_);
  append(4);
  ASSERT_TRUE(back());
  ASSERT_TRUE(on_the_disk(4));
  store_->acknowledge(rows);
  store_->fetch(Lane::All, rows.back(), 100);
  ASSERT_TRUE(ears_->wait_for_answers(2));
  EXPECT_EQ(describe(ears_->chunks()).size(), 2U);
  ASSERT_TRUE(on_the_disk(2));
}

// The newest of them has the id that a sample 0 would have, if there were one.
TEST_F(StoreGone, RowsOfAnEarlierLogAreDoneWhenTheyAreAcknowledged) {
  EXPECT_TRUE(store_->stop(20s));
  store_.reset();
  fs::remove_all(run_);
  fs::create_directory(run_);
  begin();
  ASSERT_TRUE(on_the_disk(3));
  store_->fetch(Lane::All, item_id::kBeforeAll, 100);
  ASSERT_TRUE(ears_->wait_for_answers(1));
  ASSERT_EQ(ears_->chunks().back().row, 0);
  store_->acknowledge(rows_of(ears_->chunks()));
  ASSERT_TRUE(on_the_disk(0));
}

// ---- Stage 1.

StageLog::Options stage_options(const std::string& folder, const std::string& boot = kBoot) {
  return {.folder = folder, .bytes = 1 << 20, .boot_id = boot};
}

TEST(StageGone, AClearedRunDirectoryIsNoticedAndCostsNothing) {
  const TempDir dir;
  Store::Options o = options(dir / "missing", 1h);
  o.run_folder = dir / "run";
  fs::create_directory(o.run_folder);
  Ears ears;
  Store store(o, ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  store.append(one(1));
  fs::remove_all(o.run_folder);
  store.append(one(2));
  const auto deadline = BootClock::now() + kPatience;
  const auto are_back = [&] {
    return fs::exists(o.run_folder + "/stage.0") && fs::exists(o.run_folder + "/stage.1");
  };
  while (!are_back() && BootClock::now() < deadline) std::this_thread::sleep_for(1ms);
  fs::copy(o.run_folder, dir / "later");  // as after a kill
  const auto later = StageLog::open(stage_options(dir / "later"), testing::symbols()).value();
  EXPECT_EQ(later->read(0, SIZE_MAX)->size(), 2U);
  fs::create_directory(o.folder);
  EXPECT_TRUE(store.stop(20s));
}

TEST(StageGone, ARunDirectoryThatCannotBeMadeIsSaidAndTakenUpLater) {
  const TempDir dir;
  put(dir / "run", "a file where the folder should be");
  Store::Options o = options(dir.path(), 1h);
  o.run_folder = dir / "run";
  Ears ears;
  Store store(o, ears.sinks(), testing::symbols());
  store.start();
  store.append(one(1));
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return !s.trouble.empty(); }));
  EXPECT_NE(ears.status().trouble.find("would not survive a crash"), std::string::npos);
  EXPECT_NE(ears.status().trouble.find(o.run_folder), std::string::npos) << ears.status().trouble;
  fs::remove(o.run_folder);
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.trouble.empty(); }));
  EXPECT_TRUE(fs::exists(o.run_folder + "/stage.0"));
}

TEST(StageGone, WhatSeveralBootsHaveLeftComesToTheDisk) {
  const TempDir dir;
  for (const char boot : {'x', 'y'}) {
    const auto log =
        StageLog::open(stage_options(dir.path(), std::string(36, boot)), testing::symbols())
            .value();
    ASSERT_TRUE(log->append_epoch({0, 1'700'000'000'000}));
    ASSERT_TRUE(log->append(one(boot)));
  }
  Ears ears;
  Store store(options(dir.path()), ears.sinks(), testing::symbols());
  testing::keep(store, present());
  store.start();
  ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.totals.readings == 2; }));
  EXPECT_EQ(StageLog::earlier_boots(dir.path()), std::vector<std::string>{});
}

}  // namespace
}  // namespace fieldpost
