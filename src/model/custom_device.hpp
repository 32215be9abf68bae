// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fieldpost {

// A reading that leaves on a custom topic ([[publish]]) as well waits in the outbox a second time,
// under a device that is none: "publish:ENTRY:DEVICE", or, where the topic names the attribute,
// "publish:ENTRY:DEVICE:ATTRIBUTE". So there is one for each topic. ENTRY and DEVICE are names of
// the configuration, which have no ':', as no Losant id has.
struct CustomDevice {
  std::string_view entry, device;
  std::string_view attribute;  // may be empty
};

inline constexpr std::string_view kCustomDevice = "publish:";

// Whether an id of a device is one of these.
inline bool is_custom(std::string_view id) { return id.starts_with(kCustomDevice); }

std::string id_of(const CustomDevice& device);
// Nothing if it is none. Points into `id`.
std::optional<CustomDevice> parse_custom_device(std::string_view id);

// What people are shown: "publish ENTRY (DEVICE)", or the id as it is.
std::string shown_device(std::string_view id);

}  // namespace fieldpost
