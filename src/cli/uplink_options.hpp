// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "config/config.hpp"
#include "uplink/uplink.hpp"

namespace fieldpost {

// What a configuration means for the uplink, whose private socket gets a folder in `run_dir`.
Uplink::Options uplink_options(const Config& config, const std::string& run_dir);

}  // namespace fieldpost
