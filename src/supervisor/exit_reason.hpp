// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>

#include <string>

namespace fieldpost {

// How a child ended, for people: "exit status 3", "killed by signal 11 (Segmentation fault)".
std::string exit_reason(const siginfo_t& info);

}  // namespace fieldpost
