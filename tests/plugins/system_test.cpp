// SPDX-License-Identifier: Apache-2.0
//
// The system plugin on made-up files of proc and sys, and once on this machine's own.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "fakes/fake_host.hpp"

namespace {

using fieldpost::fakes::FakeHost;
namespace fs = std::filesystem;

constexpr const char* kStat = "/proc/stat";
constexpr const char* kMemory = "/proc/meminfo";
constexpr const char* kZone = "/sys/class/thermal/thermal_zone0/temp";
constexpr const char* kUptime = "/proc/uptime";
constexpr const char* kSupply = "/sys/class/hwmon/hwmon1/in0_lcrit_alarm";
constexpr const char* kWireless = "/proc/net/wireless";
constexpr const char* kTimesync = "/run/systemd/timesync/synchronized";
constexpr const char* kTitles =
    "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n"
    " face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n";

class SystemTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "fieldpost-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    write(kStat, "cpu  100 0 50 700 100 20 30 0 90 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n");
    write(kMemory,
          "MemTotal:        1000 kB\nMemFree:          100 kB\nHugePages_Total:       0\n"
          "MemAvailable:     250 kB\n");
    write(kZone, "48312\n");
    write(kUptime, "86400.57 170000.10\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void remove(const std::string& path) const { fs::remove(root_ + path); }

  std::string root_;
};

// The reading of the newest sample; nullptr: it has none.
const FakeHost::Reading* newest(const FakeHost& host, const std::string& attribute) {
  if (host.samples.empty()) return nullptr;
  const auto& readings = host.samples.back().readings;
  const auto it = std::ranges::find(readings, attribute, &FakeHost::Reading::attribute);
  return it == readings.end() ? nullptr : &*it;
}

TEST_F(SystemTest, SaysHowTheMachineIs) {
  FakeHost host({{"root", root_}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("cpu_load"), 20.0);  // of 1000 ticks, 800 idle
  EXPECT_EQ(host.number("memory_used"), 75.0);
  EXPECT_EQ(host.number("cpu_temperature"), 48.3);
  EXPECT_EQ(host.number("uptime"), 86400.0);
  EXPECT_GT(host.number("disk_used"), 0.0);
  EXPECT_LE(host.number("disk_used"), 100.0);
  ASSERT_EQ(host.samples.size(), 1U);  // one instant, one sample
}

TEST_F(SystemTest, LoadIsThatSinceTheLastReading) {
  FakeHost host({{"root", root_}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  write(kStat, "cpu  175 0 50 720 105 20 30 0 0 0\n");  // 100 more, 25 of them idle
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("cpu_load"), 75.0);
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();  // not a tick later
  EXPECT_EQ(newest(host, "cpu_load"), nullptr);
  write(kStat, "cpu  176 0 50 720 95 20 30 9 0 0\n");  // iowait ran backwards, and time with it
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  write(kStat, "cpu  186 0 50 720 90 20 30 9 0 0\n");
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("cpu_load"), 100.0);
}

TEST_F(SystemTest, AMachineWithoutAThermalZoneIsNotInTrouble) {
  remove(kZone);
  FakeHost host({{"root", root_}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(newest(host, "cpu_temperature"), nullptr);
  EXPECT_EQ(host.number("uptime"), 86400.0);
}

TEST_F(SystemTest, SaysHowSupplyWirelessLinkAndClockAre) {
  write("/sys/class/hwmon/hwmon0/name", "cpu_thermal\n");
  write("/sys/class/hwmon/hwmon1/name", "rpi_volt\n");
  write(kSupply, "1\n");
  write(kWireless, std::string(kTitles) +
                       " wlan1: 0000    0.  -256.  -256        0      0      0      0      0   0\n"
                       " wlan0: 0000   54.  -56.  -256        0      0      0      0      2   0\n");
  write(kTimesync, "");
  FakeHost host({{"root", root_}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.latest("under_voltage")->value, fieldpost::Value(true));
  EXPECT_EQ(host.number("wireless_quality"), 54.0);
  EXPECT_EQ(host.number("wireless_signal"), -56.0);
  EXPECT_EQ(host.latest("clock_synchronised")->value, fieldpost::Value(true));
  write(kSupply, "0\n");
  remove(kTimesync);
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.latest("under_voltage")->value, fieldpost::Value(false));
  EXPECT_EQ(host.latest("clock_synchronised")->value, fieldpost::Value(false));
  remove(kSupply);
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(newest(host, "under_voltage")->quality, FP_COMM_ERROR);
  EXPECT_NE(newest(host, "under_voltage")->detail.find(kSupply), std::string::npos);
}

TEST_F(SystemTest, WhatTheMachineHasNotGotIsSaidOnceAndLeftOut) {
  remove(kZone);
  write(kWireless, kTitles);
  FakeHost host({{"root", root_}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  for (const char* attribute : {"cpu_temperature", "under_voltage", "wireless_quality",
                                "wireless_signal", "clock_synchronised"}) {
    EXPECT_EQ(newest(host, attribute), nullptr) << attribute;
    EXPECT_EQ(std::ranges::count_if(host.logs,
                                    [&](const auto& log) {
                                      return log.second.starts_with(std::string(attribute) +
                                                                    " is left out: ");
                                    }),
              1)
        << attribute;
  }
  EXPECT_EQ(host.logs.size(), 5U) << "cpu_load is there, but not within one tick";
}

// Some drivers count the strength from 0 up.
TEST_F(SystemTest, ASignalThatIsNoDbmIsNone) {
  write(kWireless, std::string(kTitles) + " wlan0: 0000   54.  80.  0        0 0 0 0 2 0\n");
  FakeHost host({{"root", root_}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_EQ(host.number("wireless_quality"), 54.0);
  EXPECT_EQ(newest(host, "wireless_signal"), nullptr);
}

TEST_F(SystemTest, WhatCannotBeReadCostsItselfAlone) {
  write(kMemory, "MemTotal: 1000 kB\n");
  write(kZone, "");
  FakeHost host({{"root", root_}, {"disk", "/nowhere"}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  for (const auto& [attribute, file] :
       {std::pair("memory_used", kMemory), std::pair("cpu_temperature", kZone),
        std::pair("disk_used", "/nowhere")}) {
    const auto* reading = newest(host, attribute);
    ASSERT_NE(reading, nullptr) << attribute;
    EXPECT_EQ(reading->quality, FP_COMM_ERROR) << attribute;
    EXPECT_NE(reading->detail.find(root_ + file), std::string::npos) << reading->detail;
  }
  EXPECT_EQ(host.number("uptime"), 86400.0);
}

TEST_F(SystemTest, NothingAtAllIsAnError) {
  FakeHost host({{"root", root_ + "/nowhere"}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  EXPECT_EQ(host.poll(), FP_E_IO);
  EXPECT_NE(host.error.find("/nowhere/proc/stat"), std::string::npos) << host.error;
}

TEST(System, ReadsThisMachine) {
  FakeHost host({{"disk", "/"}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  EXPECT_GT(host.number("memory_used"), 0.0);
  EXPECT_GT(host.number("uptime"), 0.0);
  EXPECT_GE(host.number("cpu_load"), 0.0);
}

}  // namespace
