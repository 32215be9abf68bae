// SPDX-License-Identifier: Apache-2.0
//
// system: how the machine itself is. README.md is its manual.
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <system_error>

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
        if (const auto value = (this->*kReaders[i])()) readings.push_back({i, *value, FP_GOOD, {}});
      } catch (const sdk::IoError& e) {
        if (failed++ == 0) fault = e.what();
        readings.push_back({i, 0.0, FP_COMM_ERROR, e.what()});
      }
    }
    if (failed == readings.size()) throw sdk::IoError(fault);
    host.emit(readings);
  }

 private:
  // Nothing: this machine has none, or there is none yet. Throws IoError.
  using Reader = std::optional<double> (System::*)();

  // The first line: what all processors did since the boot, in ticks.
  std::optional<double> cpu_load() {
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

  std::optional<double> memory_used() {
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
  std::optional<double> disk_used() {
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

  std::optional<double> cpu_temperature() {
    const std::string path = at("/sys/class/thermal/thermal_zone0/temp");
    std::ifstream file(path);
    if (!file.is_open()) return std::nullopt;
    double thousandths = 0;
    if (!(file >> thousandths)) throw unreadable(path);
    return to_tenths(thousandths / 1000);
  }

  std::optional<double> uptime() {
    const std::string path = at("/proc/uptime");
    std::ifstream file(path);
    double seconds = 0;
    if (!(file >> seconds)) throw unreadable(path);
    return std::floor(seconds);
  }

  std::string at(const std::string& path) const { return root_ == "/" ? path : root_ + path; }

  static sdk::IoError unreadable(const std::string& path) {
    return sdk::IoError("cannot read what is expected from '" + path + "'");
  }

  static constexpr std::array<Reader, std::size(kAttributes)> kReaders = {
      &System::cpu_load, &System::memory_used, &System::disk_used, &System::cpu_temperature,
      &System::uptime};

  const std::string root_;
  const std::string disk_;
  double total_ = 0;  // ticks at the last reading
  double idle_ = 0;
};

}  // namespace
}  // namespace system_plugin

FP_PLUGIN(system_plugin::System, {.type = "system",
                                  .version = "0.1.0",
                                  .summary = "Says how the machine itself is: load, memory, disk, "
                                             "temperature, uptime.",
                                  .options = system_plugin::kOptions,
                                  .attributes = system_plugin::kAttributes})
