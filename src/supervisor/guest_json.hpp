// SPDX-License-Identifier: Apache-2.0
//
// What a guest on another instance's line (host/guests.hpp) is to read, and what it has read, as
// the control protocol carries them.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "model/message.hpp"

namespace fieldpost {

// The sections and the one unit of a configuration; the agent adds what else there is.
Json guest_to_json(const InstanceConfig& config);
// Errors: Invalid. Whether the plugin takes it is for the plugin to say.
Result<InstanceConfig> guest_from_json(const Json& json);

// unit: good, or silent and the reason; attributes: name, quality, value or detail.
Json reading_to_json(const message::GuestReading& reading);

// What came of one attribute, by its name.
struct GuestAttribute {
  std::string name;
  Reading reading;  // `attribute` is meaningless
};
struct GuestUnit {
  bool good = false;
  std::string reason;
  std::vector<GuestAttribute> attributes;
};
Result<GuestUnit> reading_from_json(const Json& json);

}  // namespace fieldpost
