// SPDX-License-Identifier: Apache-2.0
//
// What the supervisor knows of one instance beside its process: which device each of its
// attributes belongs to, the latest reading of each, the state of its units. Turns the samples of
// its host into samples of devices. No I/O; main thread.
#pragma once

#include <cstdint>
#include <map>
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
    Reading latest;           // of any quality; attribute is meaningless before the first
    BootTime latest_time{};   // epoch: none yet
    bool fresh = false;       // latest is of the host that runs
    BootTime good_time{};     // of the last good reading; epoch: none yet
    BootTime bad_since{};     // of the first that was not good since
    int64_t last_ms = 0;      // stamp of the newest point, so that none gets the same
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
  struct Counts {
    int64_t samples = 0, readings = 0;
    int64_t bad = 0;  // readings that were not good: not published
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
  void on_host_down();

  // One DeviceSample for each sample and device that has good readings in it, in order. Two points
  // of an attribute never get the same millisecond: the later one moves to the next.
  std::vector<DeviceSample> on_samples(message::Samples&& samples, BootTime now = BootClock::now());

 private:
  bool accept(const Reading& reading, BootTime time);

  const PluginConfig* config_;
  SymbolTable* symbols_;
  std::vector<Device> devices_;  // of the whole configuration
  std::vector<Attribute> attributes_;
  std::vector<Unit> units_;
  Counts counts_;
};

}  // namespace fieldpost
