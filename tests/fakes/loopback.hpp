// SPDX-License-Identifier: Apache-2.0
//
// What the servers of the tests share of TCP.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/unique_fd.hpp"

namespace fieldpost::test {

// A listening socket at a free port of 127.0.0.1, or of ::1. Throws std::runtime_error.
UniqueFd listen_at_loopback(bool ipv6, uint16_t& ret_port);

// False if the peer does not take it all.
bool send_all(int fd, std::string_view bytes);

}  // namespace fieldpost::test
