// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "base/clock.hpp"
#include "model/clock_epochs.hpp"
#include "store/outbox.hpp"

namespace fieldpost {

// Leaves out what the broker would drop in silence (sendable()), and counts it; says so in the log,
// once an hour at most. Not thread-safe.
class Unsendable {
 public:
  // States go, but no chunk does: an empty one is done with, for whoever sends it, and is
  // acknowledged like others. Chunks that were here before, in whichever lane, are not counted
  // again.
  void leave_out(Fetched& fetched, int64_t now_utc_ms);
  int64_t too_old() const { return too_old_; }
  int64_t too_new() const { return too_new_; }

 private:
  bool counts(Lane lane, int64_t id, bool has_any);
  void log() const;

  int64_t too_old_ = 0, too_new_ = 0;            // readings
  int64_t counted_up_to_ = item_id::kBeforeAll;  // in order
  std::set<int64_t> ahead_;                      // counted as live: later than that
  std::optional<BootTime> logged_;
};

}  // namespace fieldpost
