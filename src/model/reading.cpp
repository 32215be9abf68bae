// SPDX-License-Identifier: Apache-2.0
#include "model/reading.hpp"

namespace fieldpost {

std::string_view name_of(Quality quality) {
  switch (quality) {
    case Quality::Good:
      return "good";
    case Quality::Stale:
      return "stale";
    case Quality::CommError:
      return "comm-error";
    case Quality::OutOfRange:
      return "out-of-range";
    case Quality::Stuck:
      return "stuck";
  }
  return "unknown";
}

}  // namespace fieldpost
