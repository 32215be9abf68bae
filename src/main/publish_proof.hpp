// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "uplink/uplink.hpp"

namespace fieldpost {

// Whether the broker has acknowledged a publish that was sent since the proof began. What was on
// the line then proves nothing, so as many acknowledgements as that are left out. It may say so a
// publish too late, never too early.
class PublishProof {
 public:
  PublishProof() = default;  // at a start: nothing was sent before
  explicit PublishProof(const UplinkStatus& now)
      : connections_(now.connections), seen_(now.published), mark_(seen_ + now.in_flight) {}

  // Each newer status, in order.
  bool on(const UplinkStatus& status) {
    if (status.connections != connections_) {  // what was on the line is sent again
      connections_ = status.connections;
      mark_ = seen_;
    }
    seen_ = status.published;
    return seen_ > mark_;
  }

 private:
  int64_t connections_ = 0;
  int64_t seen_ = 0;  // acknowledged, so far
  int64_t mark_ = 0;  // more than that proves it
};

}  // namespace fieldpost
