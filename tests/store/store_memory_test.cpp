// SPDX-License-Identifier: Apache-2.0
//
// durability = "memory": what is acknowledged in time never touches the disk, what is not goes
// there, and whatever is handed over between the two is sent once.
#include <sqlite3.h>

#include "fakes/faulty_vfs.hpp"
#include "store_ears.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using testing::Ears;
using testing::FaultyVfs;
using testing::Gate;
using testing::one;
using testing::present;
using testing::row;
using testing::sample;
using testing::TempDir;

constexpr int64_t item(int64_t number) { return item_id::of_sample(number); }

class StoreMemory : public ::testing::Test {
 protected:
  void start(std::chrono::nanoseconds flush_interval, bool with_clock = true) {
    auto options = testing::options(dir_.path(), flush_interval);
    options.disk_first = false;
    store_ = std::make_unique<Store>(options, ears_.sinks(), testing::symbols());
    if (with_clock) testing::keep(*store_, present());
    store_->start();
    ASSERT_TRUE(ears_.wait_for_row(0));
  }
  // What is there after `after`, as items and values.
  std::vector<std::pair<int64_t, double>> fetch(int64_t after = item_id::kBeforeAll) {
    const int answers = ears_.answers();
    store_->fetch(Lane::All, after, 1'000'000);
    EXPECT_TRUE(ears_.wait_for_answers(answers + 1));
    std::vector<std::pair<int64_t, double>> found;
    for (const Chunk& chunk : ears_.chunks()) {
      for (const State& state : chunk.states) {
        for (const Point& p : state.points)
          found.emplace_back(chunk.row, std::get<double>(p.value));
      }
    }
    return found;
  }
  bool on_disk(int64_t readings) {
    return ears_.wait_for_status(
        [&](const StoreStatus& s) { return s.totals.readings == readings && s.staged == 0; });
  }
  void close_gate() {
    gate_.close();
    vfs_.set_policy([this](const FaultyVfs::Call& call) {
      if (call.op == FaultyVfs::Op::Sync) gate_.pass();
      return SQLITE_OK;
    });
  }

  using Found = std::vector<std::pair<int64_t, double>>;
  TempDir dir_;
  FaultyVfs vfs_;
  Gate gate_;
  Ears ears_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreMemory, WhatIsAcknowledgedInTimeNeverTouchesTheDisk) {
  start(300ms);
  std::atomic<int> writes = 0;
  vfs_.set_policy([&](const FaultyVfs::Call& call) {
    if (call.op == FaultyVfs::Op::Write || call.op == FaultyVfs::Op::Sync) ++writes;
    return SQLITE_OK;
  });
  const auto end = BootClock::now() + 1s;
  int64_t number = 0;
  while (BootClock::now() < end) {
    store_->append(one(1000 + ++number, 1.0));
    for (const auto& [id, value] : fetch(item(number - 1))) store_->acknowledge({id});
  }
  EXPECT_GT(number, 5);
  EXPECT_EQ(store_->status().waiting(), 0);
  EXPECT_EQ(writes, 0);
  // The same test sees a write when there is one.
  store_->append(one(1'000'000, 1.0));
  ASSERT_TRUE(on_disk(1));
  EXPECT_GT(writes, 0);
}

TEST_F(StoreMemory, WhatIsNotAcknowledgedGoesToTheDiskAndIsFetchedFromThere) {
  start(20ms);
  store_->append(one(1, 1.5));
  store_->append(one(2, 2.5));
  ASSERT_TRUE(on_disk(2));
  EXPECT_EQ(fetch(), (Found{{row(2), 1.5}, {row(2), 2.5}}));
  store_->acknowledge({row(2)});
  ASSERT_TRUE(on_disk(0));
  EXPECT_EQ(fetch(), Found{});
}

TEST_F(StoreMemory, WhatTheUplinkHoldsIsNotHandedOutAgain) {
  start(100ms);
  store_->append(one(1, 1.0));
  store_->append(one(2, 2.0));
  EXPECT_EQ(fetch(), (Found{{item(1), 1.0}, {item(2), 2.0}}));
  store_->append(one(3, 3.0));
  ASSERT_TRUE(on_disk(3));
  EXPECT_EQ(fetch(item(2)), (Found{{item(3), 3.0}})) << "the rest of the row";
  store_->acknowledge({item(1)});
  store_->acknowledge({item(3)});
  EXPECT_EQ(fetch(item(3)), Found{});
  EXPECT_EQ(store_->status().totals.readings, 3) << "one of it is still on its way";
  store_->acknowledge({item(2)});
  ASSERT_TRUE(on_disk(0));
}

TEST_F(StoreMemory, AfterADisconnectionOnlyWhatIsUnacknowledgedComesAgain) {
  start(100ms);
  for (int64_t i = 1; i <= 4; ++i) store_->append(one(i, static_cast<double>(i)));
  EXPECT_EQ(fetch().size(), 4U);
  ASSERT_TRUE(on_disk(4));
  store_->acknowledge({item(1), item(3)});
  // The line is down: the uplink forgets what it had.
  EXPECT_EQ(fetch(item(1)), (Found{{item(2), 2.0}, {item(4), 4.0}}));
  store_->acknowledge({item(2), item(4)});
  ASSERT_TRUE(on_disk(0));
}

TEST_F(StoreMemory, AStalledDiskDelaysNoDelivery) {
  start(50ms);
  close_gate();
  store_->append(one(1, 1.0));
  gate_.wait_for_stopped();  // inside the fsync of the flush
  EXPECT_EQ(fetch(item(0)), (Found{{item(1), 1.0}}));
  store_->acknowledge({item(1)});
  store_->append(one(2, 2.0));
  EXPECT_EQ(fetch(item(1)), (Found{{item(2), 2.0}}));
  store_->acknowledge({item(2)});
  gate_.open();
  vfs_.set_policy(nullptr);
  // The row that was on its way to the disk has nothing left to send.
  ASSERT_TRUE(on_disk(0));
  EXPECT_EQ(fetch(), Found{});
}

TEST_F(StoreMemory, WithoutAClockNothingIsHandedOutAndNothingLost) {
  start(50ms, false);
  store_->append(one(1, 1.0));
  EXPECT_EQ(fetch(), Found{});
  ASSERT_TRUE(on_disk(1));
  store_->append(one(2, 2.0));
  EXPECT_EQ(fetch(), Found{});
  ASSERT_TRUE(on_disk(2));
  testing::keep(*store_, present());
  EXPECT_EQ(fetch().size(), 2U);
}

TEST_F(StoreMemory, WithoutADiskItDeliversAllTheSame) {
  auto options = testing::options(dir_ / "missing", 50ms);
  options.run_folder = dir_.path();
  options.disk_first = false;
  {
    std::filesystem::create_directory(dir_ / "missing");
    Ears ears;
    Store earlier(options, ears.sinks(), testing::symbols());
    testing::keep(earlier, present());
    earlier.start();
    earlier.append(one(1, 1.0));
    ASSERT_TRUE(ears.wait_for_status([](const StoreStatus& s) { return s.totals.readings == 1; }));
  }
  std::filesystem::rename(dir_ / "missing", dir_ / "unplugged");
  store_ = std::make_unique<Store>(options, ears_.sinks(), testing::symbols());
  store_->start();
  store_->append(one(2, 2.0));
  EXPECT_EQ(fetch(), (Found{{item(2), 2.0}})) << "what stage 1 alone has";
  store_->acknowledge({item(2)});
  EXPECT_EQ(ears_.backlogs(), 0);
  std::filesystem::rename(dir_ / "unplugged", dir_ / "missing");
  ASSERT_TRUE(ears_.wait_for_status([](const StoreStatus& s) { return s.totals.readings == 1; }));
  EXPECT_EQ(ears_.backlogs(), 1) << "there is something older than what was fetched";
  EXPECT_EQ(fetch(), (Found{{row(1), 1.0}}));
}

TEST_F(StoreMemory, ARestartFindsWhatWasNotFlushedYet) {
  start(1h);
  for (int64_t i = 1; i <= 3; ++i) store_->append(one(i, static_cast<double>(i)));
  EXPECT_EQ(fetch().size(), 3U);
  store_->acknowledge({item(2)});
  close_gate();
  EXPECT_FALSE(store_->stop(100ms)) << "the disk stalls: it stays in stage 1";
  gate_.open();
  vfs_.set_policy(nullptr);
  store_.reset();
  ASSERT_TRUE(testing::wait_for_the_lock(dir_)) << "the thread that was left behind has ended";
  start(1h);
  store_->append(one(4, 4.0));
  std::vector<double> values;
  int64_t after = item_id::kBeforeAll;
  for (Found found = fetch(after); !found.empty(); found = fetch(after)) {
    for (const auto& [id, value] : found) values.push_back(value);
    after = found.back().first;
  }
  EXPECT_EQ(values, (std::vector{1.0, 3.0, 4.0}));
}

TEST_F(StoreMemory, TwoSamplesOfADeviceInOneMillisecondGetTimesOfTheirOwn) {
  start(1h);
  store_->append({sample("d", 7, {{"a", 1.0}}), sample("d", 7, {{"b", 2.0}})});
  store_->append({sample("d", 7, {{"c", 3.0}}), sample("e", 7, {{"c", 3.0}})});
  EXPECT_EQ(fetch().size(), 4U);
  std::vector<int64_t> times;
  const int64_t first = ears_.chunks()[0].states[0].time_ms;
  for (const Chunk& chunk : ears_.chunks()) times.push_back(chunk.states[0].time_ms - first);
  EXPECT_EQ(times, (std::vector<int64_t>{0, 1, 2, 0}));
}

// ---- Live beside the backlog.

class StoreLanes : public StoreMemory {
 protected:
  Found lane(Lane lane, int64_t after = item_id::kBeforeAll) {
    const int answers = ears_.answers();
    store_->fetch(lane, after, 1'000'000);
    EXPECT_TRUE(ears_.wait_for_answers(answers + 1));
    Found found;
    for (const Chunk& chunk : ears_.chunks()) {
      for (const State& state : chunk.states) {
        found.emplace_back(chunk.row, std::get<double>(state.points.at(0).value));
      }
    }
    return found;
  }
  void append(const std::string& device, int64_t ms, double value) {
    std::vector<DeviceSample> samples;
    samples.push_back(sample(device, ms, {{"a", value}}));
    store_->append(std::move(samples));
  }
};

TEST_F(StoreLanes, LiveBeginsWithTheNewestOfEachDeviceAndGoesOnAfterTheDisk) {
  start(50ms);
  append("d", 1, 1);
  append("e", 2, 2);
  ASSERT_TRUE(on_disk(2));
  append("d", 3, 3);
  ASSERT_TRUE(on_disk(3));
  append("e", 4, 4);
  EXPECT_EQ(lane(Lane::Live), (Found{{row(2), 2}, {row(3), 3}}));
  const int64_t begin = ears_.fetched().up_to;
  const Found live = lane(Lane::Live, begin);
  EXPECT_TRUE(live == (Found{{item(4), 4}}) || live.empty()) << "or it went to the disk just now";
  EXPECT_EQ(lane(Lane::Backlog, row(1)).front(), (std::pair(row(2), 2.0))) << "passed over by id";
}

TEST_F(StoreLanes, WhatTheDiskTookFirstComesWithTheBacklog) {
  start(100ms);
  lane(Lane::Live);
  const int64_t begin = ears_.fetched().up_to;
  append("d", 1, 1);
  ASSERT_TRUE(on_disk(1));
  ASSERT_TRUE(ears_.wait_for_stored(row(1)));
  append("d", 2, 2);
  EXPECT_EQ(lane(Lane::Live, begin), (Found{{item(2), 2}}));
  EXPECT_EQ(ears_.fetched().from, item(1)) << "there is a gap";
  EXPECT_EQ(lane(Lane::Backlog), (Found{{row(1), 1}}));
}

TEST_F(StoreLanes, WhatIsHeldAsLiveHasTheSameIdInTheBacklog) {
  start(100ms);
  lane(Lane::Live);
  const int64_t begin = ears_.fetched().up_to;
  append("d", 1, 1);
  append("d", 2, 2);
  EXPECT_EQ(lane(Lane::Live, begin), (Found{{item(1), 1}, {item(2), 2}}));
  ASSERT_TRUE(on_disk(2));
  EXPECT_EQ(lane(Lane::Backlog), (Found{{item(1), 1}, {item(2), 2}}));
  store_->acknowledge({item(1)});
  EXPECT_EQ(lane(Lane::Backlog), (Found{{item(2), 2}}));
  store_->acknowledge({item(2)});
  ASSERT_TRUE(on_disk(0));
}

// Copies for custom topics, and readings beside them.
class StoreCustomLane : public StoreLanes {
 protected:
  static constexpr const char* kCopy = "publish:entry:d";
};

TEST_F(StoreCustomLane, CopiesComeInTheirOwnLaneAloneAndReadingsInTheOthers) {
  start(1h);
  lane(Lane::Live);
  const int64_t begin = ears_.fetched().up_to;
  append("d", 1, 1);
  append(kCopy, 1, 1);
  append("d", 2, 2);
  append(kCopy, 2, 2);
  EXPECT_EQ(lane(Lane::Live, begin), (Found{{item(1), 1}, {item(3), 2}}));
  EXPECT_EQ(lane(Lane::All), (Found{{item(1), 1}, {item(3), 2}}));
  EXPECT_EQ(lane(Lane::Custom), (Found{{item(2), 1}, {item(4), 2}}));
  store_->acknowledge({item(2)});
  EXPECT_EQ(lane(Lane::Custom), (Found{{item(4), 2}}));
}

TEST_F(StoreCustomLane, TheSameOnTheDisk) {
  start(50ms);
  append("d", 1, 1);
  append(kCopy, 1, 1);
  ASSERT_TRUE(on_disk(2));
  append("d", 2, 2);
  append(kCopy, 2, 2);
  ASSERT_TRUE(on_disk(4));
  EXPECT_EQ(lane(Lane::Live), (Found{{row(3), 2}})) << "the newest of each device";
  EXPECT_EQ(lane(Lane::Backlog), (Found{{row(1), 1}, {row(3), 2}}));
  EXPECT_EQ(lane(Lane::All), (Found{{row(1), 1}, {row(3), 2}}));
  EXPECT_EQ(lane(Lane::Custom), (Found{{row(2), 1}, {row(4), 2}}));
  store_->acknowledge({row(2), row(4)});
  ASSERT_TRUE(on_disk(2));
  EXPECT_EQ(lane(Lane::Custom), Found{});
}

// A backlog of months is not gone through for what is not there.
TEST_F(StoreCustomLane, WithoutAnyItsEndIsFoundAtOnce) {
  start(50ms);
  for (int64_t n = 1; n <= 3; ++n) append("d", n, static_cast<double>(n));
  ASSERT_TRUE(on_disk(3));
  EXPECT_EQ(lane(Lane::Custom), Found{});
  EXPECT_TRUE(ears_.fetched().end);
  EXPECT_FALSE(ears_.fetched().has_gaps);
}

// The uplink is through with what is new, and has a copy on its way, when a flush takes all.
TEST_F(StoreCustomLane, EachLaneHoldsItsOwnOverAFlush) {
  start(100ms);
  lane(Lane::Live);
  const int64_t begin = ears_.fetched().up_to;
  append(kCopy, 1, 1);
  append("d", 1, 1);
  append(kCopy, 2, 2);
  append("d", 2, 2);
  EXPECT_EQ(lane(Lane::Live, begin), (Found{{item(2), 1}, {item(4), 2}}));
  ASSERT_TRUE(on_disk(4));
  EXPECT_EQ(lane(Lane::Custom).size(), 2U);
  EXPECT_EQ(lane(Lane::Custom).front().first, row(3)) << "nobody held a copy: one row";
  EXPECT_EQ(lane(Lane::Backlog), (Found{{item(2), 1}, {item(4), 2}})) << "each is held by its id";

  append(kCopy, 3, 3);
  append(kCopy, 4, 4);
  const Found held = lane(Lane::Custom, row(3));
  ASSERT_TRUE(on_disk(6));
  if (held == (Found{{item(5), 3}, {item(6), 4}})) {  // else it went to the disk just now
    store_->acknowledge({item(5)});
    EXPECT_EQ(lane(Lane::Custom, row(3)), (Found{{item(6), 4}})) << "not sent twice";
    store_->acknowledge({item(6)});
    ASSERT_TRUE(on_disk(4));
  }
}

TEST_F(StoreCustomLane, OneThatIsSetAsideIsPassedOver) {
  start(50ms);
  append(kCopy, 1, 1);
  append("publish:other:d", 2, 2);
  ASSERT_TRUE(on_disk(2));
  store_->set_aside({kCopy});
  EXPECT_EQ(lane(Lane::Custom), (Found{{row(2), 2}}));
}

}  // namespace
}  // namespace fieldpost
