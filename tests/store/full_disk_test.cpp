// SPDX-License-Identifier: Apache-2.0
//
// A file system that is full of other things: real ones, small, one of them with a journal.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "fakes/test_env.hpp"
#include "small_file_system.hpp"
#include "store/room.hpp"
#include "store_ears.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using testing::Ears;
using testing::kBoot;
using testing::sample;
using testing::SmallFileSystem;

constexpr int64_t kHourMs = kThinHourMs;
constexpr int64_t kUtcOffset = 1'700'000'000'000;

class FullDisk : public ::testing::TestWithParam<SmallFileSystem::Kind> {
 protected:
  void SetUp() override {
    if (!disk_.mounted()) GTEST_SKIP() << "only root may mount, and ext4 wants a loop device";
  }
  void open(bool disk_first) {
    store_.emplace(Store::Options{.folder = disk_.path(),
                                  .run_folder = run_.path(),
                                  .boot_id = kBoot,
                                  .flush_interval = disk_first ? 0ns : 1ms,
                                  .disk_first = disk_first,
                                  .max_size = int64_t{512} << 20},
                   ears_.sinks(), testing::symbols());
    testing::keep(*store_, {.since_ms = 0, .offset_ms = kUtcOffset, .estimated = true});
    store_->start();
    ASSERT_TRUE(ears_.wait_for_row(0));
  }
  void append_hour() {
    std::vector<DeviceSample> samples;
    for (int64_t i = 0; i < 600; ++i) {
      const int64_t ms = hours_ * kHourMs + i * 6'000;
      const auto odd = static_cast<double>(static_cast<uint64_t>(ms) * 2654435761 % 1'000'003) / 7;
      samples.push_back(sample("d", ms, {{"a", odd}, {"b", -odd}}));
    }
    ++hours_;
    number_ += 600;
    store_->append(std::move(samples));
  }
  // The thread must not outlive what it speaks to, however slow the machine is.
  void TearDown() override {
    if (store_) (void)store_->stop(60s);
  }
  bool is_stored() { return ears_.wait_for_row(item_id::of_sample(number_)); }
  bool has_ballast() const { return std::filesystem::exists(disk_.path() + "/ballast"); }
  // All that is there, without acknowledging it.
  std::map<int64_t, int> hours_left() {
    std::map<int64_t, int> hours;
    for (int64_t after = item_id::kBeforeAll;;) {
      const int answers = ears_.answers();
      store_->fetch(Lane::All, after, 10'000);
      EXPECT_TRUE(ears_.wait_for_answers(answers + 1));
      const auto chunks = ears_.chunks();
      if (chunks.empty()) return hours;
      for (const Chunk& chunk : chunks) {
        after = chunk.row;
        items_.push_back(chunk.row);
        for (const State& s : chunk.states) ++hours[(s.time_ms - kUtcOffset) / kHourMs];
      }
    }
  }

  test::TempDir dir_{test::tmpfs()}, run_{test::tmpfs()};
  SmallFileSystem disk_{GetParam(), dir_.path()};
  Ears ears_;
  std::optional<Store> store_;
  int64_t hours_ = 0;
  int64_t number_ = 0;
  std::vector<int64_t> items_;
};

TEST_P(FullDisk, TheOutboxGoesOnWithTheSpaceItHasUntilThereIsMore) {
  open(true);
  EXPECT_TRUE(has_ballast());
  while (hours_ < 100) {
    append_hour();
    ASSERT_TRUE(is_stored());
  }
  disk_.fill();
  while (hours_ < 600) {
    append_hour();
    ASSERT_TRUE(is_stored()) << "hour " << hours_ << ": " << store_->status().trouble;
  }
  EXPECT_FALSE(has_ballast()) << "released";
  EXPECT_EQ(hours_left().size(), 600U);
  EXPECT_TRUE(ears_.wait_for_status(
      [](const StoreStatus& s) { return s.thinned > 0 && s.appended == s.thinned + s.waiting(); }));
  EXPECT_EQ(store_->status().dropped, 0);
  EXPECT_EQ(store_->status().lost, 0);
  disk_.clear();
  EXPECT_TRUE(test::eventually([&] { return has_ballast(); }, 20s)) << "made again";
  const int64_t thinned = store_->status().thinned;
  while (hours_ < 650) {
    append_hour();
    ASSERT_TRUE(is_stored());
  }
  EXPECT_EQ(store_->status().thinned, thinned) << "and the file may grow again";
}

TEST_P(FullDisk, WhatIsAcknowledgedCanBeDeletedAndLiveDataIsDelivered) {
  open(false);
  while (hours_ < 100) append_hour();
  ASSERT_TRUE(ears_.wait_for_status(
      [](const StoreStatus& s) { return s.staged == 0 && s.totals.readings == 120'000; }));
  disk_.fill();
  EXPECT_EQ(hours_left().size(), 100U);
  store_->acknowledge(std::exchange(items_, {}));
  EXPECT_TRUE(ears_.wait_for_status([](const StoreStatus& s) { return s.totals.rows == 0; }));
  append_hour();
  EXPECT_TRUE(test::eventually([&] { return hours_left().contains(100); }, 20s));
  EXPECT_EQ(store_->status().lost, 0);
  EXPECT_TRUE(store_->stop(10s)) << "all is deleted, and what is new is on the disk";
  store_.reset();
  auto outbox = Outbox::open(testing::outbox_options(disk_.path(), kBoot), testing::symbols());
  ASSERT_TRUE(outbox) << outbox.error().message;
  EXPECT_EQ(outbox->totals().readings, 1200);
}

// Nothing was there yet, and there is no room for anything.
TEST_P(FullDisk, FromTheBeginningItLivesOnStage1) {
  disk_.fill();
  store_.emplace(Store::Options{.folder = disk_.path(),
                                .run_folder = run_.path(),
                                .boot_id = kBoot,
                                .flush_interval = 1ms},
                 ears_.sinks(), testing::symbols());
  testing::keep(*store_, {.since_ms = 0, .offset_ms = kUtcOffset, .estimated = true});
  store_->start();
  append_hour();
  EXPECT_TRUE(test::eventually([&] { return hours_left().contains(0); }, 20s)) << "delivered";
  disk_.clear();
  EXPECT_TRUE(ears_.wait_for_status([](const StoreStatus& s) { return s.totals.rows > 0; }));
  EXPECT_EQ(store_->status().lost, 0);
}

INSTANTIATE_TEST_SUITE_P(, FullDisk,
                         ::testing::Values(SmallFileSystem::Kind::Tmpfs,
                                           SmallFileSystem::Kind::Ext4),
                         [](const auto& param) {
                           return param.param == SmallFileSystem::Kind::Tmpfs ? "Tmpfs" : "Ext4";
                         });

}  // namespace
}  // namespace fieldpost
