// SPDX-License-Identifier: Apache-2.0
//
// How the devices are, as far as the plugins that serve them can tell. Pure: no clock, no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "supervisor/supervisor.hpp"

namespace fieldpost {

// Of a device, a unit or an attribute.
struct Condition {
  enum class State : uint8_t {
    Unknown,  // not asked yet, or the plugin is just starting: as it was before
    Good,     // something of it can be read
    Bad,      // nothing of it can
  };
  State state = State::Unknown;
  std::string error;  // what is wrong, also of a part; empty: nothing is
  bool operator==(const Condition&) const = default;
};

// An instance and how its host is.
struct Service {
  const Instance* instance = nullptr;
  std::optional<HostProcess::Status> host;  // none: the instance cannot run
};
std::vector<Service> services_of(const Supervisor& supervisor);

// Of each device of the configuration, by its index. One that no plugin serves is unknown.
std::vector<Condition> device_conditions(std::span<const Service> services, size_t devices,
                                         BootTime now);

// Plugins that do not run, or with a unit that does not answer.
int count_bad(std::span<const Service> services, BootTime now);

}  // namespace fieldpost
