// SPDX-License-Identifier: Apache-2.0
#include "store/stage_thin.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "fakes/faulty_vfs.hpp"
#include "fakes/test_env.hpp"
#include "store/thin.hpp"
#include "store_ears.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using testing::Ears;
using testing::FaultyVfs;
using testing::Gate;
using testing::kBoot;
using testing::sample;

constexpr int64_t kHourMs = kThinHourMs;
constexpr int64_t kUtcOffset = 1'700'000'000'000 / kHourMs * kHourMs;
const KeepRules kRules{{{"d", "all"}, Keep::All}, {{"d", "newest"}, Keep::Newest}};

double odd(int64_t ms) {
  return static_cast<double>(static_cast<uint64_t>(ms) * 2654435761 % 1'000'003) / 7;
}

DeviceSample minute(int64_t n) {
  const int64_t ms = n * 60'000;
  return sample("d", ms, {{"all", odd(ms)}, {"thin", odd(ms)}, {"newest", odd(ms)}});
}

// The same with what is kept whole only now and then, so that there is room for it.
DeviceSample sparse_minute(int64_t n) {
  DeviceSample made = minute(n);
  if (n % 10 != 0) made.points.erase(made.points.begin());
  return made;
}

std::vector<Staged> hours(int64_t count) {
  std::vector<Staged> samples;
  for (int64_t n = 0; n < count * 60; ++n) samples.push_back({n + 1, minute(n)});
  return samples;
}

int64_t bytes_of(const std::vector<Staged>& samples) {
  int64_t bytes = 0;
  for (const Staged& s : samples) bytes += sample_bytes(s.sample.points);
  return bytes;
}

std::map<std::string, int64_t> count(const std::vector<DeviceSample>& samples) {
  std::map<std::string, int64_t> counts;
  int64_t bytes = 0;
  for (const DeviceSample& s : samples) {
    bytes += sample_bytes(s.points);
    for (const Point& p : s.points) ++counts[*p.attribute];
  }
  counts["bytes"] = bytes;
  return counts;
}

TEST(ThinSamples, WithinBoundsNothingChanges) {
  Toll toll;
  EXPECT_EQ(thin_samples(hours(2), {}, kRules, toll).size(), 120U);
  EXPECT_EQ(toll.thinned() + toll.dropped(), 0);
}

TEST(ThinSamples, ThinsFirstThenStripsThenDropsTheOldest) {
  const int64_t all = bytes_of(hours(10));
  Toll toll;
  auto left = count(thin_samples(hours(10), {.bytes = all * 3 / 4}, kRules, toll));
  EXPECT_LE(left["bytes"], all * 3 / 4);
  EXPECT_EQ(left["all"], 600);
  EXPECT_GE(left["thin"], 20);
  EXPECT_EQ(left["newest"], 1);
  EXPECT_EQ(toll.dropped(), 0);
  EXPECT_EQ(toll.thinned() + left["all"] + left["thin"] + left["newest"], 1800);

  left = count(thin_samples(hours(10), {.bytes = 600 * sample_bytes(minute(1).points) * 44 / 68},
                            kRules, toll));
  EXPECT_EQ(left["all"], 600);
  EXPECT_EQ(left["thin"], 0) << "stripped";

  const auto last = thin_samples(hours(10), {.bytes = 44 * 60}, kRules, toll);
  ASSERT_EQ(last.size(), 60U);
  EXPECT_EQ(last.front().time.ms, 9 * kHourMs) << "the oldest went";
}

TEST(ThinSamples, DropsWhatIsTooOld) {
  Toll toll;
  const auto left = thin_samples(
      hours(10), {.utc_offset_ms = 1000, .oldest_utc_ms = 1000 + 3 * kHourMs}, kRules, toll);
  ASSERT_EQ(left.size(), 420U);
  EXPECT_EQ(left.front().time.ms, 3 * kHourMs);
  EXPECT_EQ(toll.dropped(), 3 * 180);
}

// ---- The whole store, without a disk.

class Stage1Full : public ::testing::Test {
 protected:
  void open(const std::string& folder) {
    store_.emplace(Store::Options{.folder = folder,
                                  .run_folder = dir_.path(),
                                  .boot_id = kBoot,
                                  .flush_interval = 1ms,
                                  .stage_bytes = 1 << 20},
                   ears_.sinks(), testing::symbols());
    store_->set_keep(kRules);
    testing::keep(*store_, {.since_ms = 0, .offset_ms = kUtcOffset, .estimated = true});
    store_->start();
  }
  // Until so much has been thinned away.
  void append_until_thinned(int64_t readings) {
    for (; store_->status().thinned < readings && minutes_ < 1'000'000; ++minutes_) {
      store_->append({sparse_minute(minutes_)});
    }
  }
  using Found = std::map<std::string, std::map<int64_t, int>>;  // by attribute and time

  // What comes next; false: nothing.
  bool take_some(Found& found) {
    const int answers = ears_.answers();
    store_->fetch(Lane::All, taken_, 10'000);
    EXPECT_TRUE(ears_.wait_for_answers(answers + 1));
    const auto chunks = ears_.chunks();
    for (const Chunk& chunk : chunks) {
      taken_ = std::max(taken_, chunk.row);
      for (const State& state : chunk.states) {
        for (const Point& p : state.points) {
          ++found[*p.attribute][state.time_ms - kUtcOffset];
          EXPECT_EQ(p.value, Value(odd(state.time_ms - kUtcOffset)));
        }
      }
    }
    return !chunks.empty();
  }
  Found take_all() {
    Found found;
    while (take_some(found)) {
    }
    return found;
  }
  void expect_kept(Found& found) {
    EXPECT_EQ(static_cast<int64_t>(found["all"].size()), (minutes_ + 9) / 10 - kBegin / 10)
        << "kept whole";
    for (const auto& [attribute, times] : found) {
      for (const auto& [ms, n] : times) ASSERT_EQ(n, 1) << attribute << " at " << ms;
    }
    for (int64_t hour = kBegin / 60; hour < minutes_ / 60; ++hour) {
      double greatest = 0;
      for (int64_t n = 0; n < 60; ++n) greatest = std::max(greatest, odd((hour * 60 + n) * 60'000));
      bool is_there = false;
      for (int64_t n = 0; n < 60 && !is_there; ++n) {
        const int64_t ms = (hour * 60 + n) * 60'000;
        is_there = found["thin"].contains(ms) && odd(ms) == greatest;
      }
      EXPECT_TRUE(is_there) << "the greatest of hour " << hour;
    }
    EXPECT_TRUE(found["newest"].contains((minutes_ - 1) * 60'000));
  }

  test::TempDir dir_{test::tmpfs()};
  Ears ears_;
  std::optional<Store> store_;
  static constexpr int64_t kBegin = 60;
  int64_t minutes_ = kBegin;
  int64_t taken_ = item_id::kBeforeAll;
};

TEST_F(Stage1Full, KeepsWhatTheRulesSayAndBringsItToTheDiskInTheEnd) {
  open(dir_ / "missing");
  append_until_thinned(20'000);
  const StoreStatus status = store_->status();
  EXPECT_EQ(status.lost, 0);
  EXPECT_EQ(status.dropped, 0);
  EXPECT_EQ(status.appended, status.thinned + status.staged);
  std::filesystem::create_directory(dir_ / "missing");
  ASSERT_TRUE(ears_.wait_for_status(
      [&](const StoreStatus& s) { return s.totals.readings == status.staged; }));
  auto found = take_all();
  expect_kept(found);
}

TEST_F(Stage1Full, ARestartFindsWhatIsLeft) {
  open(dir_ / "missing");
  append_until_thinned(20'000);
  const int64_t staged = store_->status().staged;
  EXPECT_FALSE(store_->stop(100ms));
  store_.reset();
  open(dir_ / "missing");
  EXPECT_EQ(store_->status().staged, staged);
  // So that no thread is left behind, which would speak to ears that are gone.
  std::filesystem::create_directory(dir_ / "missing");
  EXPECT_TRUE(store_->stop(20s));
}

// The disk hangs with a flush in its hands, and gives it back in the end, or takes it.
class StalledDisk : public Stage1Full, public ::testing::WithParamInterface<int> {
 protected:
  FaultyVfs vfs_;
  Gate gate_;
  std::atomic<bool> first_ = true;

  // With the first hour on its way.
  void stall() {
    open(dir_.path());
    ASSERT_TRUE(ears_.wait_for_row(0));
    gate_.close();
    vfs_.set_policy([&](const FaultyVfs::Call& call) {
      if (call.op != FaultyVfs::Op::Sync || !first_) return SQLITE_OK;
      gate_.pass();
      first_ = false;
      return GetParam();
    });
    for (; minutes_ < kBegin + 60; ++minutes_) store_->append({sparse_minute(minutes_)});
    gate_.wait_for_stopped();
  }
  void go_on() {
    const int64_t appended = store_->status().appended;
    gate_.open();
    ASSERT_TRUE(ears_.wait_for_status([&](const StoreStatus& s) {
      return s.staged == 0 && s.appended == appended && appended == s.thinned + s.totals.readings;
    }));
  }
  void TearDown() override {
    gate_.open();
    store_.reset();
  }
};

TEST_P(StalledDisk, WhatItIsTakingIsNeitherLostNorDoubled) {
  stall();
  append_until_thinned(20'000);
  go_on();
  auto found = take_all();
  expect_kept(found);
  EXPECT_EQ(store_->status().lost, 0);
}

// What the uplink takes of stage 1 meanwhile goes to the disk in several rows with what it has not.
TEST_P(StalledDisk, WhatIsTakenMeanwhileComesOnce) {
  stall();
  taken_ = item_id::of_sample(0);  // past the disk, which nobody can ask now
  Found found;
  ASSERT_TRUE(take_some(found));
  append_until_thinned(20'000);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(take_some(found));
  go_on();
  while (take_some(found)) {
  }
  // What had to leave stage 1 while a flush had it, and is given back, is new again.
  for (auto& [attribute, times] : found) {
    for (auto& [ms, n] : times) {
      if (GetParam() != SQLITE_OK && n == 2 && ms < (kBegin + 60) * 60'000) n = 1;
    }
  }
  expect_kept(found);
}
INSTANTIATE_TEST_SUITE_P(TakesIt, StalledDisk, ::testing::Values(SQLITE_OK));
INSTANTIATE_TEST_SUITE_P(GivesItBack, StalledDisk, ::testing::Values(SQLITE_IOERR));

}  // namespace
}  // namespace fieldpost
