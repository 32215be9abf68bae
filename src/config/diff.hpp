// SPDX-License-Identifier: Apache-2.0
//
// What a reload has to do.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "config/config.hpp"

namespace fieldpost {

struct ConfigDiff {
  struct Pair {
    size_t before = 0;  // index into the old configuration's plugins
    size_t after = 0;   // index into the new one's
    bool operator==(const Pair&) const = default;
  };
  std::vector<size_t> added;    // indices into the new configuration's plugins
  std::vector<size_t> removed;  // indices into the old one's
  std::vector<Pair> changed;    // the host must be started anew
  // The host runs on as it is, but its attributes or commands belong to other devices now, or are
  // kept in another way, or its units have other names.
  std::vector<Pair> remapped;
  std::vector<Pair> unchanged;
  bool gateway = false;
  bool uplink = false;
  bool outbox = false;
  bool clock = false;
  bool commands = false;
  bool health = false;
  bool custom = false;   // a [[publish]] or [[subscribe]] is another
  bool devices = false;  // a device came, went, or has another id: whose commands are subscribed
  bool empty() const;    // nothing to do
};

// Instances are the same by their name. Where things stand in the files does not count, nor does
// the order of devices and instances, nor what is to be hidden from a plugin: whether that means a
// new host, Supervisor::apply() knows.
ConfigDiff diff(const Config& before, const Config& after);

}  // namespace fieldpost
