// SPDX-License-Identifier: Apache-2.0
//
// What can only be seen of all instances together.
#pragma once

#include "config/instances.hpp"

namespace fieldpost {

// Asks every sound instance's plugin what it has; fills declaration, attribute_device and
// command_device. What a plugin complains of is reported where it stands.
void declare_all(Config& config, std::vector<Origin>& origins, PluginProbe& probe,
                 Problems& problems);

// Names that are unique within a device, how many attributes it may have, buses and sockets that
// only one instance may have.
void check_across(const Config& config, const std::vector<Origin>& origins, Problems& problems);

// What a value of an exclusive option stands for: "rtu:///dev/serial/by-id/usb-X?baud=9600" and
// "/dev/ttyUSB0" are the same while that adapter has that name. No device is opened for it.
std::string bus_of(const Value& value);

}  // namespace fieldpost
