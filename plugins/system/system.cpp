// SPDX-License-Identifier: Apache-2.0
//
// system: how the machine itself is. README.md is its manual.
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "tables.hpp"

namespace system_plugin {
namespace {

namespace sdk = fieldpost::sdk;

double to_tenths(double value) { return std::round(value * 10) / 10; }

// Less than nothing and more than all are what counters of the kernel's sometimes come to: iowait
// may run backwards.
double percent(double part, double whole) {
  return to_tenths(std::clamp(100 * part / whole, 0.0, 100.0));
}

struct Wireless {
  double quality = 0, signal = 0;
};

class System {
 public:
  explicit System(sdk::Host& host)
      : root_(host.options().text("root")), disk_(host.options().text("disk")) {}

  void poll(sdk::Host& host) {
    std::vector<sdk::Reading> readings;
    std::string fault;  // the first
    size_t failed = 0;
    for (uint32_t i = 0; i < kReaders.size(); ++i) {
      try {
        if (auto value = (this->*kReaders[i])()) {
          readings.push_back({i, *std::move(value), FP_GOOD, {}});
        } else {
          say_absent(host, i);
        }
      } catch (const sdk::IoError& e) {
        if (failed++ == 0) fault = e.what();
        readings.push_back({i, no_value(i), FP_COMM_ERROR, e.what()});
      }
    }
    if (failed == readings.size()) throw sdk::IoError(fault);
    host.emit(readings);
  }

 private:
  // Nothing: this machine has none, or there is none yet. Throws IoError.
  using Reader = std::optional<sdk::Value> (System::*)();

  // It has the attribute's type, and is not looked at.
  static sdk::Value no_value(uint32_t attribute) {
    if (kAttributes[attribute].type == FP_BOOLEAN) return false;
    return 0.0;
  }

  // Once, when it is first missed: it may come, as a USB stick does.
  void say_absent(const sdk::Host& host, uint32_t attribute) {
    constexpr int kInfo = 6;
    const char* const what = kAbsences.at(attribute);
    if (what == nullptr || std::exchange(said_[attribute], true)) return;
    host.log(kInfo, std::string(kAttributes[attribute].name) + " is left out: " + what);
  }

  // The first line: what all processors did since the boot, in ticks.
  std::optional<sdk::Value> cpu_load() {
    const std::string path = at("/proc/stat");
    std::ifstream file(path);
    std::string word;
    // user nice system idle iowait irq softirq steal; what follows is counted in user already.
    std::array<double, 8> ticks{};
    file >> word;
    for (double& count : ticks) file >> count;
    if (!file || word != "cpu") throw unreadable(path);
    double total = 0;
    for (const double count : ticks) total += count;
    const double idle = ticks[3] + ticks[4];
    const double passed = total - total_;
    const double rested = idle - idle_;
    total_ = total;
    idle_ = idle;
    if (passed <= 0) return std::nullopt;  // polled twice in one tick
    return percent(passed - rested, passed);
  }

  std::optional<sdk::Value> memory_used() {
    const std::string path = at("/proc/meminfo");
    std::ifstream file(path);
    double total = 0;
    double available = -1;
    double kib = 0;
    for (std::string name; file >> name >> kib;) {
      if (name == "MemTotal:") total = kib;
      if (name == "MemAvailable:") available = kib;
      file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    if (total <= 0 || available < 0) throw unreadable(path);
    return percent(total - available, total);
  }

  // As df: of what is there for programs that are not root's.
  std::optional<sdk::Value> disk_used() {
    const std::string path = at(disk_);
    struct statvfs space {};
    if (statvfs(path.c_str(), &space) != 0) {
      throw sdk::IoError("cannot see the space of '" + path +
                         "': " + std::generic_category().message(errno));
    }
    const auto used = static_cast<double>(space.f_blocks - space.f_bfree);
    const double all = used + static_cast<double>(space.f_bavail);
    if (all <= 0) throw sdk::IoError("'" + path + "' is on a file system without a size");
    return percent(used, all);
  }

  std::optional<sdk::Value> cpu_temperature() {
    const std::string path = at("/sys/class/thermal/thermal_zone0/temp");
    std::ifstream file(path);
    if (!file.is_open()) return std::nullopt;
    double thousandths = 0;
    if (!(file >> thousandths)) throw unreadable(path);
    return to_tenths(thousandths / 1000);
  }

  std::optional<sdk::Value> uptime() {
    const std::string path = at("/proc/uptime");
    std::ifstream file(path);
    double seconds = 0;
    if (!(file >> seconds)) throw unreadable(path);
    return std::floor(seconds);
  }

  // The Raspberry Pi's firmware, which the kernel asks every 2 s.
  std::optional<sdk::Value> under_voltage() {
    std::error_code none;
    for (const auto& chip : std::filesystem::directory_iterator(at("/sys/class/hwmon"), none)) {
      std::string name;
      if (!(std::ifstream(chip.path() / "name") >> name) || name != "rpi_volt") continue;
      const std::string path = chip.path() / "in0_lcrit_alarm";
      int alarm = 0;
      if (!(std::ifstream(path) >> alarm)) throw unreadable(path);
      return alarm != 0;
    }
    return std::nullopt;
  }

  // Two lines of titles, then a line for each device: "wlan0: 0000   54.  -56.  -256 …". The first
  // with a quality has a link.
  std::optional<Wireless> wireless() const {
    std::ifstream file(at("/proc/net/wireless"));
    std::string line;
    for (int i = 0; std::getline(file, line); ++i) {
      std::istringstream words(line);
      std::string name, status;
      Wireless link;
      if (i < 2 || !(words >> name >> status >> link.quality >> link.signal)) continue;
      if (link.quality > 0) return link;
    }
    return std::nullopt;
  }
  std::optional<sdk::Value> wireless_quality() {
    const auto link = wireless();
    if (!link) return std::nullopt;
    return link->quality;
  }
  std::optional<sdk::Value> wireless_signal() {
    const auto link = wireless();
    if (!link || link->signal >= 0) return std::nullopt;  // not dBm, but of some scale
    return link->signal;
  }

  // As the agent itself: by timesyncd's mark, or else by what the kernel was told, which a sandbox
  // may not let us ask. Not by STA_UNSYNC, which chrony sets to keep the kernel from the RTC.
  std::optional<sdk::Value> clock_synchronised() {
    constexpr long kNobodyKeepsIt = 16'000'000;  // NTP_PHASE_LIMIT of the kernel, in microseconds
    if (exists("/run/systemd/timesync/synchronized")) return true;
    if (root_ != "/") {
      if (exists("/run/systemd/timesync")) return false;
      return std::nullopt;
    }
    timex kernel{};
    if (adjtimex(&kernel) < 0) return std::nullopt;
    return kernel.maxerror < kNobodyKeepsIt;
  }

  bool exists(const std::string& path) const { return access(at(path).c_str(), F_OK) == 0; }
  std::string at(const std::string& path) const { return root_ == "/" ? path : root_ + path; }

  static sdk::IoError unreadable(const std::string& path) {
    return sdk::IoError("cannot read what is expected from '" + path + "'");
  }

  static constexpr std::array<Reader, std::size(kAttributes)> kReaders = {
      &System::cpu_load,         &System::memory_used,     &System::disk_used,
      &System::cpu_temperature,  &System::uptime,          &System::under_voltage,
      &System::wireless_quality, &System::wireless_signal, &System::clock_synchronised};
  // Why there is none; nullptr: there is, but not at the moment.
  static constexpr std::array<const char*, std::size(kAttributes)> kAbsences = {
      nullptr,
      nullptr,
      nullptr,
      "this machine has no thermal zone",
      nullptr,
      "this machine says nothing of its supply (rpi_volt)",
      "no wireless network device has a link",
      "no wireless network device has a link, or its driver says no dBm",
      "whether the clock is synchronised cannot be seen from here"};

  const std::string root_;
  const std::string disk_;
  double total_ = 0;  // ticks at the last reading
  double idle_ = 0;
  std::array<bool, std::size(kAttributes)> said_{};  // that it is absent
};

}  // namespace
}  // namespace system_plugin

FP_PLUGIN(system_plugin::System, {.type = "system",
                                  .version = "0.1.0",
                                  .summary = "Says how the machine itself is: load, memory, disk, "
                                             "temperature, uptime, supply, wireless link, clock.",
                                  .options = system_plugin::kOptions,
                                  .attributes = system_plugin::kAttributes})
