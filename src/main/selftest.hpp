// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>

#include "cli/paths.hpp"

namespace fieldpost {

// Whether what is installed works on this machine, without its configuration, devices or network:
// the libraries are there, the outbox keeps a reading through both of its stages (in a temporary
// folder), and each installed plugin loads and describes itself. A line each on `out`. Blocks for
// seconds at most. True: nothing failed.
bool selftest(const Paths& paths, std::ostream& out);

}  // namespace fieldpost
