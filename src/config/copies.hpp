// SPDX-License-Identifier: Apache-2.0
//
// Which readings wait a second time, to leave on a custom topic (model/custom_device.hpp).
#pragma once

#include <string>
#include <string_view>

#include "config/config.hpp"

namespace fieldpost {

// Whether readings of this attribute are meant. `device` is its name. The agent's own are not.
bool selects(const PublishConfig& entry, std::string_view device, std::string_view attribute);
// The device, which is none, that they wait under.
std::string copy_of(const PublishConfig& entry, std::string_view device,
                    std::string_view attribute);

}  // namespace fieldpost
