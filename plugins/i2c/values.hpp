// SPDX-License-Identifier: Apache-2.0
//
// The part of the plan that is about chips with a driver.
#pragma once

#include <fieldpost/plugin.hpp>

#include "plan.hpp"

namespace i2c {

// The rows [[plugin.chip.value]] of a unit, and what its driver takes; what is wrong is declared.
void read_values(fieldpost::sdk::Declare& declare, unsigned unit,
                 const fieldpost::sdk::Section& section, ChipRow& ret);

}  // namespace i2c
