// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/unique_fd.hpp"

namespace fieldpost {

// Tells systemd how the service is: "READY=1\nSTATUS=…", as sd_notify(3) has it. Never waits, as
// sd_notify() itself does while process 1 reads nothing and its queue is full. False: it was not
// taken, so say it again later. True also where nobody is there to be told ($NOTIFY_SOCKET is not
// set). Reads the environment: not while another thread changes it.
[[nodiscard]] bool notify(std::string_view state);

// The way to systemd, non-blocking, for a process that can open none later. None: nobody is there
// to be told.
UniqueFd notify_socket();

}  // namespace fieldpost
