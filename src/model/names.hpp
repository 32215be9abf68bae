// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace fieldpost {

// ^[0-9a-zA-Z_-]{1,255}$: what Losant accepts as an attribute. Others are dropped in silence.
bool is_attribute_name(std::string_view name);
inline constexpr std::string_view kAttributeNameForm = "1 to 255 of 0-9, a-z, A-Z, _ and -";
inline constexpr int kMaxAttributes = 256;  // of one device, Losant

// 24 lower-case hex digits: a Losant device id, which is also the MQTT client id.
bool is_device_id(std::string_view id);

// 1 to 255 bytes of UTF-8 without control characters.
bool is_command_name(std::string_view name);

// ^[a-z0-9][a-z0-9_.-]{0,63}$: what the configuration calls instances, units and devices.
bool is_local_name(std::string_view name);
inline constexpr std::string_view kLocalNameForm =
    "1 to 64 of a-z, 0-9, '_', '.' and '-', starting with a letter or a digit";

}  // namespace fieldpost
