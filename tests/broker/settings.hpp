// SPDX-License-Identifier: Apache-2.0
//
// What the broker is told: one JSON file, written by the fixtures in tests/fakes and by
// scripts/losant-like-broker. check_record.py reads the same file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fieldpost::losant {

struct Settings {
  std::string record;  // JSON lines are appended to this file

  // Access keys and their secrets; each is good for every device.
  std::map<std::string, std::string> keys;
  // The one user who is not a device but the platform itself (and the tests' witness): no rule
  // holds for it, its client id is free.
  std::string platform_user, platform_password;
  // A gateway, and a device that stands alone, has an empty gateway; only these may connect.
  struct Device {
    std::string gateway;
  };
  std::map<std::string, Device> devices;  // by id
  // Topics outside losant/ that the keys may publish and subscribe to; + and # as in MQTT.
  std::vector<std::string> topics;

  // Rates are not limited.
  bool unlimited = false;
  // All spans of time below are multiplied by this: with 0.01, tests take seconds.
  double time_scale = 1;
};

// Throws std::exception with the reason.
Settings read_settings(const std::string& file);

}  // namespace fieldpost::losant
