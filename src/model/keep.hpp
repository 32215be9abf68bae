// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace fieldpost {

// What becomes of an attribute's waiting readings when the outbox runs short of space.
enum class Keep : uint8_t {
  Thin,    // old ones are thinned: extremes and changes stay
  All,     // all stay until nothing else is left to give
  Newest,  // only the newest matters
};

}  // namespace fieldpost
