// SPDX-License-Identifier: Apache-2.0
//
// State that programs on this machine post through the control socket: held to the same rules as
// readings of plugins. Main thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "config/config.hpp"
#include "model/reading.hpp"

namespace fieldpost {

class LocalState {
 public:
  explicit LocalState(SymbolTable& symbols) : symbols_(&symbols) {}

  // `config`'s devices are the ones that can be posted to, and its declared attributes count
  // towards the limit of each.
  void configure(const Config& config);

  // {"device": name or Losant id, "data": {attribute: value, …}, "time": ms UTC (optional)}.
  // Errors: Invalid; the message names device, attribute and what was expected.
  Result<DeviceSample> parse(const Json& request, BootTime now, int64_t now_utc_ms);

 private:
  struct Device {
    Symbol id = nullptr;
    std::set<std::string, std::less<>> attributes;        // known so far, at most kMaxAttributes
    std::map<std::string, int64_t, std::less<>> last_ms;  // so that no two points share a stamp
  };
  Result<Device*> find(const Json& request);
  Result<std::vector<Point>> points_of(Device& device, const Json& data);

  SymbolTable* symbols_;
  std::map<std::string, Device, std::less<>> devices_;  // by name
};

}  // namespace fieldpost
