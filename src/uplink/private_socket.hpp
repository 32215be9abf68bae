// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"

namespace fieldpost {

// A path in `folder` where a Unix socket can be bound: the folder exists (it is made, 0700), is
// ours and closed to others, the path is short enough, and a socket that a crash left behind is
// gone. Errors: Invalid, Io.
Result<std::string> prepare_socket_path(const std::string& folder, const std::string& name);

}  // namespace fieldpost
