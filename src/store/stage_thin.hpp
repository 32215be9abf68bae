// SPDX-License-Identifier: Apache-2.0
//
// What becomes of the oldest samples of stage 1 when it is full because no disk takes them: the
// rules are those of the outbox, for samples in place of rows. A pure function.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "model/keep.hpp"
#include "store/stage_record.hpp"
#include "store/toll.hpp"

namespace fieldpost {

struct StageBounds {
  // As sample_bytes() counts them.
  int64_t bytes = std::numeric_limits<int64_t>::max();
  // What makes UTC of boot time, as far as anyone knows.
  int64_t utc_offset_ms = 0;
  // Older samples are dropped.
  int64_t oldest_utc_ms = std::numeric_limits<int64_t>::min();
};

// Thins (store/thin.hpp) until the samples are within bounds, or nothing is left to win; then takes
// away all but what is kept as Keep::All; then drops the oldest. Counted in `toll`. The result is
// in the order of time, a sample for each instant of a device.
std::vector<DeviceSample> thin_samples(std::vector<Staged> samples, const StageBounds& bounds,
                                       const KeepRules& rules, Toll& toll);

}  // namespace fieldpost
