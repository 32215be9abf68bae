// SPDX-License-Identifier: Apache-2.0
//
// How many bytes may be on their way: as many as the line carries in about half a second, so that
// what is live waits no longer than that behind the backlog, and a ping is answered in time. Found
// out from how long acknowledgements take: what they take longer than the fastest one is spent in a
// queue that we have filled. Pure; kept over reconnects, as the line is the same.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.hpp"

namespace fieldpost {

class LineWindow {
 public:
  // One message of this size may be on its way on any line.
  static constexpr int64_t kLeast = 16'000;

  explicit LineWindow(int64_t most) : most_(std::max(most, kLeast)) {}
  void set_most(int64_t most) {
    most_ = std::max(most, kLeast);
    bytes_ = std::min(bytes_, most_);
  }

  int64_t bytes() const { return bytes_; }
  // Of an array of states: several fit, so that the line does not run dry while one is made.
  int64_t array_bytes() const { return std::max(kLeast, bytes_ / 4); }

  // A message was acknowledged that was sent `took` ago, as one of `queued` bytes on their way,
  // itself and what was sent before it; `own` are its own. `used` is how much of the window that
  // is: more than `queued` where it had only a part of it to use.
  void on_acknowledged(nanoseconds took, int64_t queued, int64_t own, int64_t used);
  // The next connection may take another way.
  void on_disconnected() { fastest_ = nanoseconds::max(); }

 private:
  int64_t most_;
  int64_t bytes_ = kLeast;
  nanoseconds fastest_ = nanoseconds::max();
};

}  // namespace fieldpost
