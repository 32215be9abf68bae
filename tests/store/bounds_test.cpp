// SPDX-License-Identifier: Apache-2.0
//
// The whole Store where space is short.
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "fakes/faulty_vfs.hpp"
#include "fakes/test_env.hpp"
#include "plant.hpp"
#include "store/room.hpp"
#include "store/store.hpp"
#include "store_ears.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using testing::Ears;
using testing::FaultyVfs;
using testing::kBoot;
using testing::kUtcOffset;
using testing::Plant;
using testing::sample;
using testing::Truth;

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kPutBy = Room::kWalReserve + Ballast::kBytes;
constexpr int64_t kHourMs = kThinHourMs;

// What the files take, at every moment: sees each call before it is made.
class DiskUse {
 public:
  explicit DiskUse(const std::string& folder) : ballast_(folder + "/ballast") {}
  FaultyVfs::Policy policy() {
    return [this](const FaultyVfs::Call& call) {
      const std::scoped_lock lock(mutex_);
      int64_t& size = sizes_[call.path];
      if (call.op == FaultyVfs::Op::Write) size = std::max(size, call.offset + call.size);
      if (call.op == FaultyVfs::Op::Grow) {
        size = std::max(size, (call.offset + kGrowBytes - 1) / kGrowBytes * kGrowBytes);
      }
      if (call.op == FaultyVfs::Op::Truncate) size = call.offset;
      look();
      return SQLITE_OK;
    };
  }
  int64_t most() {
    const std::scoped_lock lock(mutex_);
    return most_;
  }
  int64_t most_of_wal() {
    const std::scoped_lock lock(mutex_);
    return most_of_wal_;
  }

 private:
  void look() {
    struct stat info {};
    int64_t sum = ::stat(ballast_.c_str(), &info) == 0 ? info.st_size : 0;
    for (const auto& [path, size] : sizes_) {
      sum += size;
      if (path.ends_with("-wal")) most_of_wal_ = std::max(most_of_wal_, size);
    }
    most_ = std::max(most_, sum);
  }
  const std::string ballast_;
  std::mutex mutex_;
  std::map<std::string, int64_t> sizes_;
  int64_t most_ = 0;
  int64_t most_of_wal_ = 0;
};

class Bounds : public ::testing::Test {
 protected:
  Store::Options options(int64_t max_size) const {
    return {.folder = dir_.path(),
            .run_folder = dir_.path(),
            .boot_id = kBoot,
            .flush_interval = 0ns,
            .disk_first = true,
            .stage_bytes = 4 * kMiB,
            .max_size = max_size};
  }
  void open(const Store::Options& options, const KeepRules& rules = {}) {
    store_.emplace(options, ears_.sinks(), testing::symbols());
    store_->set_keep(rules);
    testing::keep(*store_, {.since_ms = 0, .offset_ms = kUtcOffset, .estimated = true});
    store_->start();
    ASSERT_TRUE(ears_.wait_for_row(0));
  }
  // The thread must not outlive what it speaks to, however slow the machine is.
  void close() {
    if (store_) (void)store_->stop(60s);
  }
  void TearDown() override { close(); }
  // Appends and waits until it is on the disk.
  void bring(std::vector<DeviceSample> samples) {
    number_ += static_cast<int64_t>(samples.size());
    store_->append(std::move(samples));
    ASSERT_TRUE(ears_.wait_for_row(item_id::of_sample(number_)));
  }
  // What is delivered now: all of it, acknowledged.
  template <class F>
  void deliver(F each) {
    int64_t after = item_id::kBeforeAll;
    for (;;) {
      const int answers = ears_.answers();
      store_->fetch(Lane::All, after, 10'000);
      ASSERT_TRUE(ears_.wait_for_answers(answers + 1));
      const auto chunks = ears_.chunks();
      if (chunks.empty()) return;
      std::vector<int64_t> items;
      for (const Chunk& chunk : chunks) {
        ASSERT_GT(chunk.row, after);
        after = chunk.row;
        items.push_back(chunk.row);
        for (const State& state : chunk.states) {
          delivered_ += static_cast<int64_t>(state.points.size());
          each(chunk.device, state);
        }
      }
      store_->acknowledge(std::move(items));
    }
  }
  // No reading is unaccounted for.
  void expect_sums() {
    ASSERT_TRUE(ears_.wait_for_status([&](const StoreStatus&) {
      status_ = store_->status();
      return status_.totals.acknowledged == delivered_;
    }));
    EXPECT_EQ(status_.appended, delivered_ + status_.thinned + status_.dropped + status_.waiting());
    int64_t thinned = 0;
    int64_t dropped = 0;
    for (const Toll::Line& line : status_.given_up) {
      thinned += line.thinned;
      dropped += line.dropped;
    }
    EXPECT_EQ(thinned, status_.thinned);
    EXPECT_EQ(dropped, status_.dropped);
    EXPECT_EQ(status_.lost, 0);
  }

  test::TempDir dir_{test::tmpfs()};
  FaultyVfs vfs_;
  Ears ears_;
  std::optional<Store> store_;
  int64_t number_ = 0;
  int64_t delivered_ = 0;
  StoreStatus status_;
};

// ---- Thirty days offline, in a tenth of the space they need.

class ThirtyDaysOffline : public Bounds {
 protected:
  static constexpr int64_t kDays = 30;
  static constexpr int64_t kFlushMs = 300'000;
  static constexpr int64_t kStepMs = 5'000;
  static constexpr int64_t kBegin = 12'345;

  static std::string device(size_t a) { return Plant::device_of(a) == 1 ? "d1" : "d2"; }
  KeepRules rules() const {
    KeepRules rules;
    for (size_t a = 0; a < Plant::kAttributes; ++a) {
      rules[{device(a), *plant_.name(a)}] = Plant::keep(a);
    }
    return rules;
  }
  std::vector<DeviceSample> flush(int64_t begin) {
    std::vector<DeviceSample> samples;
    for (int64_t ms = begin; ms < begin + kFlushMs; ms += kStepMs) {
      DeviceSample d1 = sample("d1", ms, {});
      DeviceSample d2 = sample("d2", ms, {});
      for (size_t a = 0; a < Plant::kAttributes; ++a) {
        auto value = plant_.read(a, ms);
        if (!value) continue;
        truth_.add(a, ms, *value);
        auto& points = Plant::device_of(a) == 1 ? d1.points : d2.points;
        points.push_back({plant_.name(a), *std::move(value)});
      }
      samples.push_back(std::move(d1));
      samples.push_back(std::move(d2));
    }
    return samples;
  }
  void pass(int64_t days) {
    for (int64_t ms = kBegin; ms < kBegin + days * 24 * kHourMs; ms += kFlushMs) bring(flush(ms));
  }
  Truth take_all() {
    std::map<Symbol, size_t> index;  // the outbox's symbols are its own
    std::map<Symbol, int64_t> last;
    Truth left;
    deliver([&](Symbol device, const State& state) {
      EXPECT_GT(state.time_ms, last[device]);
      last[device] = state.time_ms;
      for (const Point& p : state.points) {
        const auto [it, is_new] = index.emplace(p.attribute, 0);
        if (is_new) it->second = std::stoul(p.attribute->substr(1));
        left.add(it->second, state.time_ms - kUtcOffset, p.value);
      }
    });
    return left;
  }

  const uint64_t seed_ = test::seed();
  Plant plant_{seed_};
  Truth truth_;
};

TEST_F(ThirtyDaysOffline, NeedTenTimesTheSpace) {
  open(options(100 * kMiB));
  pass(1);
  ASSERT_TRUE(ears_.wait_for_status([](const StoreStatus& s) { return s.totals.rows == 576; }));
  EXPECT_GE(ears_.status().totals.bytes * kDays, 10 * kMiB);
  EXPECT_EQ(store_->status().thinned, 0);
}

TEST_F(ThirtyDaysOffline, EveryHourKeepsItsExtremesInATenthOfIt) {
  SCOPED_TRACE("FIELDPOST_SEED=" + std::to_string(seed_));
  DiskUse use(dir_.path());
  vfs_.set_policy(use.policy());
  const int64_t max_size = kPutBy + 1 * kMiB;
  open(options(max_size), rules());
  pass(kDays);
  const Truth left = take_all();
  EXPECT_LE(use.most(), max_size);
  EXPECT_GT(use.most(), max_size - Room::kWalReserve) << "or nothing was measured";
  EXPECT_LE(use.most_of_wal(), Room::kWalReserve);
  EXPECT_GE(left.hours.size(), static_cast<size_t>(kDays * 24));
  EXPECT_TRUE(left.hours == truth_.hours);
  EXPECT_EQ(left.door, truth_.door);
  EXPECT_EQ(left.door_ms, truth_.door_ms);
  EXPECT_EQ(left.batches, truth_.batches);
  EXPECT_EQ(left.state, truth_.state);
  expect_sums();
  EXPECT_EQ(status_.dropped, 0);
  EXPECT_EQ(status_.appended, truth_.readings);
  for (const Toll::Line& line : status_.given_up) EXPECT_NE(line.attribute, "a18") << "kept whole";
  close();
}

// ---- What is to be kept whole, and what goes when that is too much.

class KeptWhole : public Bounds {
 protected:
  // Of each hour: 60 readings of each; numbers that do not shrink.
  std::vector<DeviceSample> hour(int64_t n) {
    std::vector<DeviceSample> samples;
    for (int64_t i = 0; i < 60; ++i) {
      const int64_t ms = n * kHourMs + i * 60'000;
      const auto odd = static_cast<double>(static_cast<uint64_t>(ms) * 2654435761 % 1'000'003) / 7;
      samples.push_back(sample("d", ms, {{"all", odd}, {"thin", odd}, {"newest", odd}}));
    }
    return samples;
  }
  const KeepRules rules_{{{"d", "all"}, Keep::All}, {{"d", "newest"}, Keep::Newest}};
  int64_t dropped_of(const std::string& attribute) {
    for (const Toll::Line& line : store_->status().given_up) {
      if (line.attribute == attribute) return line.dropped;
    }
    return 0;
  }
};

TEST_F(KeptWhole, IsIntactUntilNothingElseIsLeftAndThenTheOldestGoes) {
  open(options(kPutBy + 1 * kMiB), rules_);
  int64_t hours = 0;
  while (dropped_of("thin") == 0 && hours < 10'000) bring(hour(hours++));
  ASSERT_GT(dropped_of("thin"), 0) << "thinning is not enough";
  EXPECT_EQ(dropped_of("all"), 0);
  while (dropped_of("all") == 0 && hours < 20'000) bring(hour(hours++));
  ASSERT_GT(dropped_of("all"), 0);
  std::map<std::string, std::vector<int64_t>> left;
  deliver([&](Symbol, const State& state) {
    for (const Point& p : state.points) left[*p.attribute].push_back(state.time_ms - kUtcOffset);
  });
  // Of the others only what came since the last step.
  ASSERT_FALSE(left["all"].empty());
  EXPECT_GT(left["all"].front(), 0) << "the oldest went";
  EXPECT_EQ(left["all"].back(), hours * kHourMs - 60'000);
  EXPECT_EQ(static_cast<int64_t>(left["all"].size()),
            (hours * kHourMs - left["all"].front()) / 60'000)
      << "without a gap";
  EXPECT_LT(left["thin"].size(), left["all"].size() / 20);
  expect_sums();
}

TEST_F(KeptWhole, OtherRulesHoldFromThenOn) {
  open(options(kPutBy + 1 * kMiB), {{{"d", "all"}, Keep::All}, {{"d", "thin"}, Keep::All}});
  int64_t hours = 0;
  for (; hours < 100; ++hours) bring(hour(hours));
  store_->set_keep({{{"d", "thin"}, Keep::Thin}});  // of others nothing new is said
  while (store_->status().thinned < 40'000 && hours < 2'000) bring(hour(hours++));
  int64_t thin = 0;
  for (const Toll::Line& line : store_->status().given_up) {
    if (line.attribute == "thin") thin = line.thinned;
    EXPECT_NE(line.attribute, "all");
  }
  EXPECT_GT(thin, 0);
}

// ---- Delivery goes on meanwhile.

TEST_F(KeptWhole, WhatIsDeliveredWhileItIsThinnedComesOnceAndCounts) {
  open(options(kPutBy + 1 * kMiB), rules_);
  std::map<std::string, std::map<int64_t, int>> seen;
  int64_t after = item_id::kBeforeAll;
  std::vector<int64_t> held;
  const auto take = [&](size_t points) {
    const int answers = ears_.answers();
    store_->fetch(Lane::All, after, points);
    ASSERT_TRUE(ears_.wait_for_answers(answers + 1));
    for (const Chunk& chunk : ears_.chunks()) {
      after = chunk.row;
      held.push_back(chunk.row);
      for (const State& state : chunk.states) {
        for (const Point& p : state.points) ++seen[*p.attribute][state.time_ms];
        delivered_ += static_cast<int64_t>(state.points.size());
      }
    }
  };
  for (int64_t n = 0; n < 1500; ++n) {
    bring(hour(n));
    if (n % 3 == 0) take(100);
    if (n % 30 == 0) store_->acknowledge(std::exchange(held, {}));
  }
  EXPECT_GT(store_->status().thinned, 0);
  store_->acknowledge(std::exchange(held, {}));
  while (!::testing::Test::HasFatalFailure()) {
    take(10'000);
    if (held.empty()) break;
    store_->acknowledge(std::exchange(held, {}));
  }
  for (const auto& [attribute, times] : seen) {
    for (const auto& [ms, count] : times) ASSERT_EQ(count, 1) << attribute << " at " << ms;
  }
  EXPECT_EQ(seen["all"].size(), 1500u * 60) << "kept whole, whatever was thinned around it";
  EXPECT_TRUE(seen["newest"].contains(kUtcOffset + 1500 * kHourMs - 60'000));
  EXPECT_LT(seen["newest"].size(), seen["thin"].size());
  expect_sums();
}

// ---- Much at once.

TEST_F(Bounds, WhatComesAllAtOnceGoesInPartsThatTheWalHasRoomFor) {
  DiskUse use(dir_.path());
  vfs_.set_policy(use.policy());
  Store::Options o = options(kPutBy + 20 * kMiB);
  o.stage_bytes = 32 * kMiB;
  store_.emplace(o, ears_.sinks(), testing::symbols());
  testing::keep(*store_, {.since_ms = 0, .offset_ms = kUtcOffset, .estimated = true});
  for (int64_t i = 0; i < 200; ++i) {
    store_->append({sample("d", i, {{"a", std::to_string(i) + std::string(50'000, 'x')}})});
  }
  store_->start();
  ASSERT_TRUE(ears_.wait_for_row(testing::row(200)));
  EXPECT_LE(use.most_of_wal(), Room::kWalReserve);
  EXPECT_GT(use.most_of_wal(), kMiB);
  EXPECT_EQ(store_->status().thinned + store_->status().dropped, 0);
  close();
}

// The least that can be configured (src/config/tables.cpp) has room for more than its parts.
TEST(Room, TheLeastMaxSizeIsMostlyForReadings) { EXPECT_GT(16'000'000 - kPutBy, 8 * kMiB); }

// ---- Age.

TEST_F(Bounds, WhatIsTooOldIsDroppedAndCounted) {
  Store::Options o = options(kPutBy + 10 * kMiB);
  o.max_age = 24h;
  store_.emplace(o, ears_.sinks(), testing::symbols());
  store_->start();
  const int64_t now = testing::present().since_ms;
  for (int64_t h = 48; h > 0; --h)
    bring({sample("d", now - h * kHourMs - 1000, {{"a", static_cast<double>(h)}})});
  EXPECT_EQ(store_->status().dropped, 0) << "nobody knows the time";
  testing::keep(*store_, testing::present());
  ASSERT_TRUE(ears_.wait_for_status([](const StoreStatus& s) { return s.dropped == 25; }));
  std::vector<Value> left;
  deliver([&](Symbol, const State& state) { left.push_back(state.points.at(0).value); });
  ASSERT_EQ(left.size(), 23U);
  EXPECT_EQ(left.front(), Value(23.));
  expect_sums();
}

}  // namespace
}  // namespace fieldpost
