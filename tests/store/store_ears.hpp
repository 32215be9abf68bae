// SPDX-License-Identifier: Apache-2.0
//
// What the tests of Store share: ears that hear what a main and an uplink would.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "store/store.hpp"
#include "store_fixture.hpp"

namespace fieldpost::testing {

using namespace std::chrono_literals;

inline constexpr auto kPatience = 20s;  // a deadline, not a wait: the machine may be busy

// What a main and an uplink would have heard.
class Ears {
 public:
  Store::Sinks sinks() {
    return {.committed = [this](int64_t row) { hear([&] { newest_ = row; }); },
            .stored = [this](int64_t row) { hear([&] { stored_ = row; }); },
            .chunks =
                [this](Fetched fetched) {
                  hear([&] {
                    ++answers_;
                    fetched_ = std::move(fetched);
                  });
                },
            .backlog = [this] { hear([&] { ++backlogs_; }); },
            .status =
                [this](const StoreStatus& status) {
                  hear([&] {
                    status_ = status;
                    ++statuses_;
                  });
                },
            .clock = [this] { hear([&] { ++clocks_; }); }};
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return heard_.wait_for(lock, kPatience, condition);
  }
  bool wait_for_row(int64_t row) {
    return wait([&] { return newest_ >= row; });
  }
  int backlogs() {
    const std::scoped_lock lock(mutex_);
    return backlogs_;
  }
  bool wait_for_clock(int count) {
    return wait([&] { return clocks_ >= count; });
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
    return fetched_.chunks;
  }
  Fetched fetched() {
    const std::scoped_lock lock(mutex_);
    return fetched_;
  }
  bool wait_for_stored(int64_t row) {
    return wait([&] { return stored_ >= row; });
  }
  int answers() {
    const std::scoped_lock lock(mutex_);
    return answers_;
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
  int64_t newest_ = INT64_MIN;
  int answers_ = 0;
  int backlogs_ = 0;
  int statuses_ = 0;
  int64_t stored_ = INT64_MIN;
  Fetched fetched_;
  int clocks_ = 0;
  StoreStatus status_;
};

inline constexpr const char* kBoot = "00000000-0000-0000-0000-000000000001";

// On the disk before it is sent.
inline Store::Options options(const std::string& folder, std::chrono::nanoseconds delay = 1ms) {
  return {.folder = folder,
          .run_folder = folder,
          .boot_id = kBoot,
          .flush_interval = delay,
          .disk_first = true,
          .stage_bytes = 1 << 20,
          .now_ms = [] { return int64_t{0}; }};  // samples are from then
}

// The row that a flush makes whose last sample has this number.
inline constexpr int64_t row(int64_t number) { return item_id::of_sample(number) + 1; }

inline Epoch present() { return {in_ms(BootClock::now()), in_ms(wall_offset())}; }

// As if somebody had decided on this epoch, unless it is what holds already. By an estimated one
// nothing is held back for its age: for samples with times of their own.
inline void keep(Store& store, const Epoch& epoch) {
  const WallView boot = store.clock().boot;
  if (!boot.empty() && boot.last().offset_ms == epoch.offset_ms) return;
  const auto kept = store.keep_clock({.now_ms = epoch.since_ms, .offset_ms = epoch.offset_ms},
                                     {.append = epoch, .may_send = true});
  ASSERT_TRUE(kept) << kept.error().message;
}

inline std::vector<DeviceSample> one(int64_t ms, double value = 1.0) {
  std::vector<DeviceSample> samples;
  samples.push_back(sample("d", ms, {{"a", value}}));
  return samples;
}

// A thread that was left behind ends by itself, and then the lock of its file is free.
inline std::optional<Outbox> wait_for_the_lock(const TempDir& dir) {
  const auto deadline = BootClock::now() + kPatience;
  std::optional<Outbox> outbox;
  while (!outbox && BootClock::now() < deadline) {
    auto opened = Outbox::open(outbox_options(dir.path(), kBoot), symbols());
    if (opened) outbox = *std::move(opened);
  }
  return outbox;
}

}  // namespace fieldpost::testing
