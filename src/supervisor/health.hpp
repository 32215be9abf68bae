// SPDX-License-Identifier: Apache-2.0
//
// What is said upstream of the gateway and its peripherals, and when: as samples like any other,
// so that they survive an outage, but few. Pure: no I/O, time is a parameter. Main thread.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "model/reading.hpp"
#include "supervisor/condition.hpp"
#include "supervisor/rate.hpp"

namespace fieldpost {

// How the agent itself is.
struct GatewayFacts {
  std::string version;
  nanoseconds uptime{};
  nanoseconds outbox_age{};  // 0: nothing waits on the disk
  int64_t outbox_bytes = 0;
  int64_t lost = 0;                 // readings, since the start
  std::optional<int64_t> disk_day;  // bytes; none: the kernel does not count
  std::string clock;
  int plugins_bad = 0;
};

class Health {
 public:
  // A change is told once it has lasted for so long: one glitch is none.
  static constexpr std::chrono::seconds kSettle{2};
  // Changes of one device that are told at once; then they come as slowly as reports do, and while
  // the broker is away once an hour: 30 days of a device that comes and goes are 725 states.
  static constexpr double kChanges = 5;
  static constexpr std::chrono::hours kAway{1};
  // Reports of all devices together, a second: a tenth of what Losant takes of one connection.
  static constexpr double kReports = 2;
  static constexpr double kReportsAtOnce = 10;

  struct Reach {
    bool online = false;                       // the broker is there
    std::set<std::string, std::less<>> aside;  // ids of devices that it takes nothing of
  };

  explicit Health(SymbolTable& symbols) : symbols_(&symbols) {}

  // Devices stay as they are known by their ids.
  void configure(const Config& config);
  bool enabled() const { return config_.enabled; }

  // Something went wrong; said with the next report of the gateway. Without its secrets. What is
  // wrong with a device need not be told.
  void note_error(std::string_view what);
  const std::string& last_error() const { return last_error_; }
  // All that is wrong just now, in the same way: each is the last error when it begins.
  void note_troubles(std::vector<std::string> troubles);
  // Every device is to be reported as soon as that may be.
  void ask(BootTime now);

  // What is to be reported now, at most one sample of each device. `conditions` are those of the
  // devices of the configuration. To be called every second or so.
  std::vector<DeviceSample> report(const GatewayFacts& gateway,
                                   std::span<const Condition> conditions, const Reach& reach,
                                   BootTime now);

 private:
  struct Device {
    Symbol id = nullptr;
    std::vector<Symbol> attributes;       // none: nothing is said of it
    Condition condition;                  // the latest that is known
    std::string told;                     // what may change, as it was reported; empty: never was
    std::optional<BootTime> other_since;  // that it is different from `told`
    std::optional<BootTime> asked;
    std::optional<BootTime> error_since;  // that something is wrong with it
    bool error_noted = false;
    BootTime due{};  // of the next report, if the broker is there
    double changes = kChanges;
    BootTime counted{};  // up to here
  };
  struct Wish {
    size_t device;
    bool change;
    BootTime since;
  };

  void note_error_of(Device& device, BootTime now);
  void look(Device& device, const std::string& now_is, bool online, BootTime now) const;
  std::optional<Wish> wish_of(size_t index, bool online, BootTime now) const;
  std::string changing_part(size_t index, const GatewayFacts& gateway) const;
  DeviceSample sample_of(size_t index, const GatewayFacts& gateway, BootTime now) const;

  SymbolTable* symbols_;
  HealthConfig config_;
  std::vector<Device> devices_;
  std::string last_error_;
  std::vector<std::string> troubles_;  // that were noted
  Rate reports_{kReports, kReportsAtOnce};
};

}  // namespace fieldpost
