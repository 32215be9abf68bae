// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace fieldpost {

// Why this boot came about, as far as the hardware says: what a watchdog noted (linux/watchdog.h),
// and on a Raspberry Pi the reset register that its boot loader hands on. Empty where nothing says
// anything, which is usual. `root` is where /sys and /proc are, for tests.
std::string boot_reason(const std::string& root = "");

}  // namespace fieldpost
