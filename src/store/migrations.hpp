// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "store/database.hpp"

namespace fieldpost {

// The newest schema this program knows.
int newest_schema();

// Looks, without writing, whether the file is an outbox that this program may use. Errors: Invalid
// (it belongs to another program, or to a newer version whose `min_reader` is above ours),
// Corrupt, Unavailable, Io.
Result<> check_readable(Database& database);

// Brings the schema up to newest_schema(), all steps in one transaction. A newer one that
// check_readable() has let pass is left as it is.
Result<> migrate(Database& database);

}  // namespace fieldpost
