// SPDX-License-Identifier: Apache-2.0
//
// Time through the whole of it: the keeper, the store with both of its stages, and what the uplink
// makes of it, under a clock that the test sets. Files are copied as a kill or a power cut would
// leave them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fakes/test_env.hpp"
#include "main/clock_keeper.hpp"
#include "store/store_ears.hpp"

namespace fieldpost::testing {

using namespace std::chrono_literals;

constexpr int64_t kSecond = 1000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kNoon = 1'795'435'200'000;  // some UTC
constexpr const char* kBoots[] = {"00000000-0000-0000-0000-00000000000a",
                                  "00000000-0000-0000-0000-00000000000b",
                                  "00000000-0000-0000-0000-00000000000c"};

using Sent = std::map<int64_t, Stamp>;  // by value: each reading has one of its own

// A gateway in one of its boots, whose clock the test sets.
class Gateway {
 public:
  // Waits for the outbox, if its folder is there. With `to_disk` what is appended goes to the disk
  // at once, and is sent from there.
  Gateway(const std::string& folder, bool to_disk, const char* boot = kBoots[0])
      : folder_(folder),
        to_disk_(to_disk),
        store_({.folder = folder + "/state",
                .run_folder = folder + "/run",
                .boot_id = boot,
                .flush_interval = to_disk ? nanoseconds(0) : nanoseconds(1h),
                .disk_first = to_disk,
                .stage_bytes = 1 << 20,
                .now_ms = [this] { return now; }},
               ears_.sinks(), testing::symbols()),
        keeper_(store_, {.hold = 24h, .floor_ms = 0, .clocks = [this] {
                           return ClockKeeper::Clocks{now, offset};
                         }}) {
    store_.start();
    const bool opens = std::filesystem::exists(folder + "/state");
    EXPECT_TRUE(!opens || wait_for_the_disk());
  }
  bool wait_for_the_disk() { return ears_.wait_for_clock(1); }
  static std::string folders_in(const TempDir& dir) {
    for (const char* name : {"/state", "/run"}) {
      std::filesystem::create_directories(dir.path() + name);
    }
    return dir.path();
  }

  // A reading at a boot time, with this value.
  void read(int64_t value, std::optional<int64_t> boot_ms = {}, const std::string& device = "d") {
    append(testing::sample(device, boot_ms.value_or(now), {{"a", static_cast<double>(value)}}));
  }
  void append(DeviceSample sample) {
    std::vector<DeviceSample> samples;
    samples.push_back(std::move(sample));
    store_.append(std::move(samples));
    if (!to_disk_) return;
    EXPECT_TRUE(test::eventually([&] { return store_.status().staged == 0; }, 20s));
  }
  // One a minute, up to but without `until`; the value is the boot time in minutes.
  void read_until(int64_t until) {
    for (; now < until; now += kMinute) read(now / kMinute);
  }
  void synchronise(int64_t utc_minus_boot) {
    offset = utc_minus_boot;
    keeper_.on_time_sync(true);
  }
  void lose_time(int64_t utc_minus_boot) {
    offset = utc_minus_boot;
    keeper_.on_time_sync(false);
  }
  void step(int64_t ms) { synchronise(offset + ms); }

  // All that can be sent, as an uplink that has just connected would get it.
  std::vector<Chunk> fetch() {
    std::vector<Chunk> all;
    for (int64_t after = item_id::kBeforeAll;; after = all.back().row) {
      const int answers = ears_.answers();
      store_.fetch(Lane::All, after, 1000);
      EXPECT_TRUE(ears_.wait_for_answers(answers + 1));
      std::vector<Chunk> chunks = ears_.chunks();
      if (chunks.empty()) return all;
      for (Chunk& chunk : chunks) all.push_back(std::move(chunk));
    }
  }
  Sent send() {
    Sent sent;
    for (const Chunk& chunk : fetch()) {
      for (const State& state : chunk.states) {
        const auto value = static_cast<int64_t>(std::get<double>(state.points.at(0).value));
        EXPECT_TRUE(sent.emplace(value, Stamp{state.time_ms, state.estimated}).second) << value;
      }
    }
    return sent;
  }

  // The status comes once a second.
  bool unstamped(int64_t readings) {
    return test::eventually([&] { return store_.status().unstamped == readings; }, 20s);
  }

  ClockKeeper& keeper() { return keeper_; }
  Store& store() { return store_; }
  Ears& ears() { return ears_; }

  int64_t now = kMinute;
  int64_t offset = 0;  // 1970, as without a battery

 private:
  std::string folder_;
  bool to_disk_;
  Ears ears_;
  Store store_;
  ClockKeeper keeper_;
};

// What a kill leaves; or, without stage 1, a power cut.
inline std::string image(const std::string& folder, const TempDir& into, bool with_run) {
  const auto all = std::filesystem::copy_options::recursive;
  Gateway::folders_in(into);
  std::filesystem::copy(folder + "/state", into / "state", all);
  if (with_run) std::filesystem::copy(folder + "/run", into / "run", all);
  return into.path();
}

// That what was sent has the stamps it had.
inline void expect_unchanged(const Sent& before, const Sent& after) {
  for (const auto& [value, stamp] : before) {
    ASSERT_TRUE(after.contains(value)) << value;
    EXPECT_EQ(after.at(value), stamp) << value;
  }
}

// Readings in stage 1, or on the disk.
class KeeperInStage : public ::testing::TestWithParam<bool> {
 protected:
  TempDir dir_;
  std::string folder_ = Gateway::folders_in(dir_);
};

}  // namespace fieldpost::testing
