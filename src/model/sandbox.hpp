// SPDX-License-Identifier: Apache-2.0
//
// What the process of a plugin is kept from, beside the limits that each has (host/limits.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fieldpost {

// FP_NEEDS_… of plugin.h, which this layer does not see.
inline constexpr uint32_t kNeedsDevices = 1, kNeedsNetwork = 2, kNeedsExec = 4;

// What is asked of a host.
struct Sandbox {
  bool on = true;
  uint32_t needs = 0;               // kNeeds…: what the plugin may
  std::vector<std::string> hidden;  // absolute, canonical; it may neither read nor change these
  bool operator==(const Sandbox&) const = default;
};

// What the kernel let the host put in force.
struct Confinement {
  bool calls = false;  // system calls that its needs do not cover fail (seccomp)
  bool files = false;  // what is hidden is out of reach (Landlock)
  bool operator==(const Confinement&) const = default;
};

// Whether something that `wanted` hides is out of reach neither by itself nor with a folder above
// it where `in_force` was put in force.
bool leaves_open(const Sandbox& in_force, const Sandbox& wanted);

// For people: "no sockets, no programs".
std::string words_of_needs(uint32_t needs);
// "no sockets, no programs, files not confined"; "off, as configured".
std::string describe(const Sandbox& sandbox, const Confinement& in_force);

}  // namespace fieldpost
