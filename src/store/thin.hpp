// SPDX-License-Identifier: Apache-2.0
//
// Fewer readings of the same story: what is done to old rows of the outbox before any is dropped.
// A pure function of states; which rows it is applied to is decided in store/retention.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "model/keep.hpp"
#include "model/reading.hpp"

namespace fieldpost {

// Readings are thinned within an hour of UTC only, never across its ends. So an hour keeps its true
// extremes whatever is joined with what and however often: this is the floor of all thinning.
inline constexpr int64_t kThinHourMs = 3'600'000;

struct Thinned {
  std::vector<State> states;  // ascending, times unique, an attribute at most once in each
  int64_t before = 0;         // readings; before = after + the sum of `gone`
  int64_t after = 0;
  std::vector<std::pair<Symbol, int64_t>> gone;  // readings thinned away, of attributes with any
};

// One round. `states` are those of neighbouring rows of one device and boot, with the times as
// stored; `utc_offset_ms` is what makes UTC of them (0 for rows in UTC; of several epochs the last:
// it only says where hours end). `keep_of` is asked once for each attribute.
//
//   Thin    numbers: of a stretch of equal values the first and the last stay; then of each four
//           neighbours the least and the greatest, each with its own time (of a rest of three, the
//           same; a rest of one or two stays). Booleans and texts: the first of each stretch of
//           equal values, and the last reading of the hour.
//   Newest  the newest reading of all.
//   All     everything.
//
// So a round leaves half of the numbers, two an hour in the end, and then nothing changes any more.
// Should two readings of an attribute have one time (which only several rows can hold), the later
// one moves to the next free millisecond, as it does at capture: none is lost by joining.
Thinned thin(std::vector<State> states, const std::function<Keep(Symbol)>& keep_of,
             int64_t utc_offset_ms);

// How often a row was thinned, which the caller keeps with the row: 0, 1, … and at last this:
// there is nothing left to win. What has lost all but Keep::All is at the one after it.
inline constexpr uint8_t kFullyThinned = 254;
inline constexpr uint8_t kNothingButAll = 255;

// The `round` of the row that `thinned` becomes, made of rows of this `round`. A round that takes
// away less than an eighth was the last: numbers that are above their two an hour would have lost a
// third at least, so what is left is at its floor or is to be kept. Every other round leaves at
// most seven eighths, so the number of rounds is logarithmic in the readings.
uint8_t round_after(uint8_t round, const Thinned& thinned);

}  // namespace fieldpost
