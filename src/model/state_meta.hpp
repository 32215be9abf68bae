// SPDX-License-Identifier: Apache-2.0
//
// What goes with the readings of a state as its `meta`. It is kept and moved like readings, under
// names that no attribute can have, so it shares their fate: what is thinned or sent again has the
// meta it had.
#pragma once

#include <string>
#include <string_view>

#include "model/symbol.hpp"

namespace fieldpost::state_meta {

inline constexpr char kMark = '\x01';  // all such names begin with it

inline constexpr std::string_view kSequence = "\x01sequence";
// Followed by an attribute's name: its quality, where that is not good.
inline constexpr std::string_view kQuality = "\x01quality:";
// The same: the age of its last good reading, in ms.
inline constexpr std::string_view kGoodAge = "\x01good_age:";
// The same: what is to be known of it although it is good.
inline constexpr std::string_view kRemark = "\x01remark:";

inline bool is_meta(std::string_view name) { return name.starts_with(kMark); }
inline bool is_meta(Symbol name) { return name != nullptr && is_meta(std::string_view(*name)); }

}  // namespace fieldpost::state_meta
