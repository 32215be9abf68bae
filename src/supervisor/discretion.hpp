// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace fieldpost {

// A text as it may leave this machine by itself: printable, about 200 bytes at most, and without
// what looks like a secret (base/secrets.hpp). A plugin may have been told a secret of its device,
// and repeats it in an error.
std::string without_secrets(std::string_view text);

}  // namespace fieldpost
