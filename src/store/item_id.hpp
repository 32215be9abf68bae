// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>

namespace fieldpost {

// What names a thing that waits for the broker: a sample that stands in stage 1 alone, or a row of
// the outbox, which holds the samples of one device that one flush brought. The id of sample n is
// n << 8; a row is named after its last sample, and one of 1 to 255 in the low byte. So ids ascend
// in the order of capture wherever things stand. Rows that are older than the log of stage 1 have
// ids below all of its samples: 0 and less, with any low byte.
namespace item_id {

inline constexpr int kBits = 8;
inline constexpr int64_t kBeforeAll = std::numeric_limits<int64_t>::min() / 2;

inline constexpr int64_t of_sample(int64_t number) { return number << kBits; }
// Samples are numbered from 1; what is older than the log of stage 1 is a row, whatever its id.
inline constexpr bool is_sample(int64_t id) { return id > 0 && (id & ((1 << kBits) - 1)) == 0; }
// Of a sample, or of the last one in a row.
inline constexpr int64_t number_of(int64_t id) { return id >> kBits; }

}  // namespace item_id
}  // namespace fieldpost
