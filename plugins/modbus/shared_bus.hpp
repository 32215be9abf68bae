// SPDX-License-Identifier: Apache-2.0
//
// One line is one bus, however many objects of the plugin in this process use it: a guest's reading
// (docs/commissioning.md) goes over the connection that the instance has, with its lock, its pauses
// and its knowledge of what may still come late.
#pragma once

#include <chrono>
#include <memory>

#include "bus.hpp"
#include "url.hpp"

namespace fieldpost::modbus {

// The bus that is at this place already, whose time-outs and pauses it keeps, or a new one. Shared
// by the objects that use it, the last of which closes it. All calls from one thread. Throws
// ConfigError for a line that runs with other settings.
std::shared_ptr<Bus> shared_bus(const Endpoint& endpoint, std::chrono::nanoseconds connect_timeout,
                                std::chrono::nanoseconds pause);

}  // namespace fieldpost::modbus
