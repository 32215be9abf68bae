// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

namespace fieldpost {

// The end of a host: SIGTERM, or its supervisor's end of file. Both start an alarm whose default
// action kills the process after one second, so a plugin that is inside a call may end it, but
// cannot stay for ever.
class StopSignal {
 public:
  // Installs the handler. One per process. Errors: Io.
  static Result<> install();
  // Whether the end has come; readable: descriptor for poll(2), so that none is missed.
  static bool raised();
  static int fd();
  // The same as SIGTERM, for an end of file.
  static void raise();
};

}  // namespace fieldpost
