// SPDX-License-Identifier: Apache-2.0
//
// Calls into the plugin: of an instance (host/runner.hpp) and of its guests (host/guests.hpp).
#pragma once

#include <fieldpost/plugin.h>

#include "base/clock.hpp"
#include "host/heartbeat.hpp"

namespace fieldpost {

// Calls into the plugin, after the heart has beaten: its watchdog counts from the start of a call,
// however many there are in a row. An exception that a C++ plugin lets out ends here, and with it
// the process: its state is unknown.
template <class F, class... Args>
auto invoke(Heartbeat& heart, F* function, Args... args) noexcept {
  heart.beat(BootClock::now());
  return function(args...);
}

// What a failure means of which the plugin says nothing.
inline const char* meaning(fp_status status) {
  switch (status) {
    case FP_E_INVALID:
      return "the plugin finds the request invalid";
    case FP_E_IO:
      return "the device did not answer";
    case FP_E_UNCERTAIN:
      return "the device did not say whether it was done";
    case FP_E_UNSUPPORTED:
      return "the plugin does not support this";
    default:
      return "the plugin failed without saying why";
  }
}

}  // namespace fieldpost
