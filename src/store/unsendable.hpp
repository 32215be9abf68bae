// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "model/clock_epochs.hpp"
#include "store/outbox.hpp"

namespace fieldpost {

// Leaves out what the broker would drop in silence (sendable()), and counts it; says so in the log,
// once an hour at most. Not thread-safe.
class Unsendable {
 public:
  // States of `chunks` go, but no chunk does: an empty one is done with, for whoever sends it, and
  // is acknowledged like others. Chunks that were here before are not counted again.
  void leave_out(std::vector<Chunk>& chunks, int64_t now_utc_ms);
  int64_t too_old() const { return too_old_; }
  int64_t too_new() const { return too_new_; }

 private:
  void log() const;

  int64_t too_old_ = 0, too_new_ = 0;  // readings
  int64_t counted_up_to_ = item_id::kBeforeAll;
  std::optional<BootTime> logged_;
};

}  // namespace fieldpost
