// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "cli/paths.hpp"
#include "supervisor/control.hpp"

namespace fieldpost {

// Serves both control sockets in the run directory: the one to act through is that of the .socket
// unit, where systemd has handed one over. May be called again when `server` is gone. Errors:
// Unavailable (another agent serves them), Io.
Result<> open_control(ControlServer& server, const Paths& paths);

}  // namespace fieldpost
