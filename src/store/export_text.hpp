// SPDX-License-Identifier: Apache-2.0
//
// Readings that wait for the broker as text for people and their tools: CSV (RFC 4180) or JSON
// lines. Values are exact: what is read back is the same to the bit. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/reading.hpp"

namespace fieldpost {

// Readings of one device that wait, for looking at.
struct WaitingReadings {
  Symbol device = nullptr;  // Losant id
  // Else the states' times are milliseconds since their boot: nobody knows its wall time yet.
  bool timed = true;
  std::vector<State> states;

  size_t readings() const {
    size_t count = 0;
    for (const State& state : states) count += state.points.size();
    return count;
  }
};

enum class ExportFormat : uint8_t { Csv, Jsonl };

// Names of devices by Losant id. A device that has gone from the configuration has none; one that
// is none (model/custom_device.hpp) has that which people are shown.
using DeviceNames = std::map<std::string, std::string, std::less<>>;

// The id of the device with this name, or what was given, if none has it: then that is the id.
inline std::string device_id_of(const DeviceNames& names, const std::string& name_or_id) {
  for (const auto& [id, name] : names) {
    if (name == name_or_id) return id;
  }
  return name_or_id;
}

class ExportText {
 public:
  ExportText(ExportFormat format, DeviceNames names) : format_(format), names_(std::move(names)) {}

  // What comes before the first reading: the header of a CSV file,
  // time,boot_ms,estimated,device,name,attribute,type,value.
  std::string head() const;
  // One line for each reading. `time` is RFC 3339 with milliseconds in UTC; where it is not known,
  // it is empty and `boot_ms` says the milliseconds since the boot, which is empty otherwise.
  // `estimated` is 1 where nobody vouched for the clock that the time is of.
  void add(const WaitingReadings& readings, std::string& out) const;

 private:
  std::string name_of_device(std::string_view id) const;
  std::string prefix_of(const WaitingReadings& readings, const State& state) const;
  void add_csv(std::string_view prefix, const Point& point, std::string& out) const;
  void add_json(std::string_view prefix, const Point& point, std::string& out) const;

  ExportFormat format_;
  DeviceNames names_;
};

}  // namespace fieldpost
