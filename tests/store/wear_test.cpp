// SPDX-License-Identifier: Apache-2.0
#include "store/wear.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "fakes/test_env.hpp"
#include "store/drain_rate.hpp"
#include "store_fixture.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using testing::sample;
using testing::TempDir;

BootTime at(std::chrono::nanoseconds since_boot) { return BootTime(since_boot); }

TEST(Wear, IsThatOfTheLastDay) {
  Wear wear;
  EXPECT_FALSE(wear.written(at(0s)));
  int64_t total = 5000;  // the thread did something before
  for (int minute = 0; minute <= 26 * 60; ++minute) {
    wear.note(at(minute * 1min), total);
    total += minute < 60 ? 1000 : 10;
  }
  const Written at_26h = wear.written(at(26h)).value();
  EXPECT_EQ(at_26h.bytes, 5000 + 60 * 1000 + 25 * 60 * 10);
  EXPECT_EQ(at_26h.recent, 24h);
  EXPECT_EQ(at_26h.recent_bytes, 24 * 60 * 10);
  Wear first;
  first.note(at(10h), 4096);
  EXPECT_EQ(first.written(at(10h)).value().recent_bytes, 4096) << "as many as bytes";
  Wear young;
  young.note(at(10h), 0);
  young.note(at(10h + 5min), 300);
  EXPECT_EQ(young.written(at(10h + 6min)).value().recent, 6min);
  EXPECT_EQ(young.written(at(10h + 6min)).value().recent_bytes, 300);
}

// A disk of its own: a file with ext4 in it.
class LoopDisk {
 public:
  explicit LoopDisk(const std::string& folder) : point_(folder + "/disk") {
    std::filesystem::create_directory(point_);
    const std::string image = folder + "/image";
    mounted_ = ::geteuid() == 0 && run("truncate -s 32M " + image) &&
               run("mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 " + image) &&
               run("mount -o loop " + image + " " + point_);
  }
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;
  ~LoopDisk() {
    if (mounted_) (void)run("umount " + point_);
  }
  bool mounted() const { return mounted_; }
  const std::string& path() const { return point_; }

  // Bytes that reached the device, as it counts them itself.
  int64_t written() const {
    ::sync();
    std::ifstream mounts("/proc/self/mounts");
    for (std::string device, point, rest;
         mounts >> device >> point && std::getline(mounts, rest);) {
      if (point != point_) continue;
      std::ifstream stat("/sys/block/" + std::filesystem::path(device).filename().string() +
                         "/stat");
      int64_t field = 0;
      for (int i = 0; i < 7; ++i) stat >> field;  // sectors written
      return field * 512;
    }
    return -1;
  }

 private:
  static bool run(const std::string& command) {
    return std::system((command + " >/dev/null 2>&1").c_str()) == 0;  // NOLINT
  }
  std::string point_;
  bool mounted_ = false;
};

// What a flush every so often writes: the thread's own count, and that of the device.
TEST(Wear, IsWhatReachesTheDisk) {
  if (!bytes_written_by_this_thread()) GTEST_SKIP() << "this kernel does not count";
  const TempDir folder;
  const LoopDisk disk(folder.path());
  if (!disk.mounted()) GTEST_SKIP() << "needs root, mkfs.ext4 and a loop device";
  int64_t by_thread = 0;
  int64_t while_idle = -1;
  int64_t by_device = 0;
  std::thread store([&] {
    Outbox outbox = testing::open_outbox(disk.path(), "boot-1", {0, 0}).value();
    const int64_t device_before = disk.written();
    const int64_t before = *bytes_written_by_this_thread();
    for (int flush = 0; flush < 50; ++flush) {
      std::vector<DeviceSample> samples;
      for (int i = 0; i < 1000; ++i) {
        samples.push_back(
            sample("d", flush * 1000 + i, {{"t", flush / 3.0 + i}, {"n", 1.0 * i * flush}}));
      }
      ASSERT_TRUE(testing::append(outbox, samples));
    }
    by_thread = *bytes_written_by_this_thread() - before;
    by_device = disk.written() - device_before;
    const int64_t then = *bytes_written_by_this_thread();
    (void)outbox.fetch(item_id::kBeforeAll, 1'000'000);
    while_idle = *bytes_written_by_this_thread() - then;
  });
  store.join();
  EXPECT_GT(by_thread, 50 * 4096) << "a page for each flush at least";
  // The journal and the tables of the file system come on top, at the device alone.
  EXPECT_LE(by_thread, by_device * 11 / 10);
  EXPECT_GE(by_thread, by_device / 4);
  EXPECT_EQ(while_idle, 0) << "reading is not writing";
}

TEST(Wear, ATmpfsIsNoDisk) {
  if (!bytes_written_by_this_thread()) GTEST_SKIP() << "this kernel does not count";
  if (test::tmpfs() != "/dev/shm") GTEST_SKIP() << "there is no tmpfs";
  const test::TempDir folder(test::tmpfs());
  const int64_t before = *bytes_written_by_this_thread();
  testing::put(folder / "file", std::string(1 << 20, 'x'));
  EXPECT_EQ(*bytes_written_by_this_thread() - before, 0);
}

TEST(DrainRate, IsWhatIsDeliveredBeyondWhatComesIn) {
  DrainRate rate;
  EXPECT_EQ(rate.time_left(0), 0s);
  EXPECT_EQ(rate.time_left(100), std::nullopt);
  for (int s = 0; s <= 60; ++s) rate.note(at(s * 1s), s < 30 ? 0 : 1000 * (s - 30), 100 * s);
  EXPECT_EQ(rate.time_left(9000), 10s);  // 1,000 a second, of which 100 come in again
  DrainRate still;
  for (int s = 0; s <= 10; ++s) still.note(at(s * 1s), 100 * s, 100 * s);
  EXPECT_EQ(still.time_left(9000), std::nullopt);
  DrainRate young;
  young.note(at(0s), 0, 0);
  young.note(at(1s), 1000, 0);
  EXPECT_EQ(young.time_left(10), std::nullopt);
}

}  // namespace
}  // namespace fieldpost
