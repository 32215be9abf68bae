// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/json.hpp"

namespace fieldpost::cli {

// Prints what `outbox status` knows, for people. docs/control-protocol.md has the names.
void print_outbox_status(const Json& outbox);

// "1.2 MB written in 3 h 5 min, 3.1 bytes a reading": `outbox.disk` of the status.
std::string disk_line(const Json& disk);

}  // namespace fieldpost::cli
