// SPDX-License-Identifier: Apache-2.0
//
// A read over Modbus/TCP in three system calls. libmodbus takes seven, as it fetches each answer in
// three pieces and waits before each; where units are polled quickly, that is most of what polling
// costs.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "blocks.hpp"

namespace fieldpost::modbus {

// As libmodbus reads on a connected socket of its own, and with its answers: `what.count`, or -1
// with errno, which may be one of modbus.h. The whole answer must come within `timeout`. `id` is
// what the answer must repeat; `ret_words` has room for `what.count` (bits: 0 or 1 each).
int read_over_tcp(int fd, uint16_t id, int unit, const Extent& what,
                  std::chrono::nanoseconds timeout, std::span<uint16_t> ret_words);

}  // namespace fieldpost::modbus
