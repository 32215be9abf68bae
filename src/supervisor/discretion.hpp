// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace fieldpost {

// A text as it may leave this machine: printable, about 200 bytes at most, and without what stands
// where secrets do: the login of a URL, the value after `password=` and its like, all after
// `authorization`. A plugin may have been told a secret of its device, and repeats it in an error.
std::string without_secrets(std::string_view text);

}  // namespace fieldpost
