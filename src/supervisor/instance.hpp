// SPDX-License-Identifier: Apache-2.0
//
// What the supervisor knows of one instance beside its process: which device each of its
// attributes belongs to, the latest reading of each, the state of its units. Turns the samples of
// its host into samples of devices. No I/O; main thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "model/message.hpp"
#include "model/reading.hpp"

namespace fieldpost {

class Instance {
 public:
  struct Attribute {
    AttributeSpec spec;
    uint32_t unit = 0;
    size_t device = 0;        // index into devices()
    Symbol symbol = nullptr;  // its name
    ReportRule rule;
    bool polled = false;              // it comes with every poll of its unit
    Reading latest;                   // of any quality; attribute is meaningless before the first
    BootTime latest_time{};           // epoch: none yet
    bool fresh = false;               // latest is of the host that runs
    BootTime good_time{};             // of the last good reading; epoch: none yet
    nanoseconds gap{}, gap_before{};  // between the last good readings
    BootTime changed{};               // since when good ones have had the value of the latest
    BootTime bad_since{};             // of the first that was not good since
    int64_t last_ms = 0;              // stamp of the newest point, so that none gets the same
    std::string remark;               // what is to be known of good readings
  };
  struct Unit {
    std::string name;
    bool known = false;  // polled since the host started
    bool good = false;
    bool answered = false;  // at least once, also to a host before this one
    bool read = false;      // a good reading since the host started
    std::string reason;     // why it is not good
    BootTime since{};
    BootTime good_time{};  // of the last good reading of any of its attributes
  };
  struct Device {
    std::string name;
    Symbol id = nullptr;  // Losant id
  };
  // What can be said of an attribute now.
  struct Verdict {
    Quality quality = Quality::Good;
    std::string detail;  // why it is not good; may be empty
  };
  struct Counts {
    int64_t samples = 0, readings = 0;
    int64_t held = 0;  // good readings that said nothing new and stayed in the host
    int64_t bad = 0;   // readings that were not good: not published
    // Readings of an attribute that was not declared, or of another type, or more of one attribute
    // than milliseconds, which are what a stamp counts.
    int64_t refused = 0;
  };

  // `config` must outlive this, or be replaced by rebind().
  Instance(const PluginConfig& config, const std::vector<DeviceConfig>& devices,
           SymbolTable& symbols);

  const PluginConfig& config() const { return *config_; }
  // What it declared when the configuration was read.
  const std::vector<Attribute>& attributes() const { return attributes_; }
  const std::vector<Declaration::Command>& commands() const {
    return config_->declaration.commands;
  }
  const std::vector<Unit>& units() const { return units_; }
  const std::vector<Device>& devices() const { return devices_; }
  const Counts& counts() const { return counts_; }
  // Of a declared command.
  const Device& device_of(const Declaration::Command& command) const;

  // The configuration was read again and is the same for the host, but devices may have other
  // names, ids or places.
  void rebind(const PluginConfig& config, const std::vector<DeviceConfig>& devices);
  // Names and devices were checked, against those of other instances too, when the configuration
  // was read: its host may declare nothing else. Errors: Invalid, in words that follow "declared".
  Result<> vet(const Declaration& declared) const;
  void on_unit_state(const message::UnitState& state, BootTime now);
  void on_host_up() { down_since_.reset(); }
  void on_host_down(BootTime now);
  void on_held(const message::Held& held);
  void on_remark(const message::Remark& remark);

  // Of an attribute of this that has been read: the quality of its latest reading, or, where that
  // was good, `stale` when what should have confirmed it since did not come, and `stuck` when it
  // should have changed. Also where the host is dead or hung.
  Verdict verdict(const Attribute& attribute, BootTime now) const;

  // One DeviceSample for each sample and device that has good readings in it, in order. Two points
  // of an attribute never get the same millisecond: the later one moves to the next.
  std::vector<DeviceSample> on_samples(message::Samples&& samples, BootTime now = BootClock::now());

 private:
  bool accept(const Reading& reading, BootTime time);
  void note_good(Attribute& attribute, BootTime time);

  const PluginConfig* config_;
  SymbolTable* symbols_;
  std::vector<Device> devices_;  // of the whole configuration
  std::vector<Attribute> attributes_;
  std::vector<Unit> units_;
  std::optional<BootTime> down_since_;  // of the host
  Counts counts_;
};

}  // namespace fieldpost
