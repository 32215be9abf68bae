// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "model/reading.hpp"
#include "model/time.hpp"
#include "store/export_text.hpp"
#include "store/stage_record.hpp"

namespace fieldpost {

// Turns boot times into UTC. `states` ascend and stay so with unique times, also when the clock was
// set back between two of them: states that fall on the same millisecond become one if they have
// no attribute in common, else the later one goes to the next free millisecond. The result depends
// on nothing but the arguments, so a row that is sent again has the same stamps.
void to_wall_time(std::vector<State>& states, const WallView& wall);

// A sample of stage 1, to look at; `wall` has the epochs of its boot, or none.
WaitingReadings waiting_of(const Staged& staged, const WallView& wall);

}  // namespace fieldpost
