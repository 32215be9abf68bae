// SPDX-License-Identifier: Apache-2.0
//
// Tells when somebody sets the system clock. Slewing it, as NTP does for small corrections, is not
// setting it.
#pragma once

#include <functional>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"

namespace fieldpost {

class ClockWatch {
 public:
  // A timer that becomes readable when the clock is set. Errors: Io.
  static Result<UniqueFd> timer();

  // Calls `on_set` on the loop's thread, at least once for all that happened since the last call.
  // `timer` is timer(), or in tests a descriptor that a test makes readable. Errors: Io.
  static Result<ClockWatch> create(EventLoop& loop, UniqueFd timer, std::function<void()> on_set);

 private:
  ClockWatch(UniqueFd timer, Source source)
      : timer_(std::move(timer)), source_(std::move(source)) {}
  UniqueFd timer_;
  Source source_;
};

}  // namespace fieldpost
