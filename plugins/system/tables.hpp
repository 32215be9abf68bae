// SPDX-License-Identifier: Apache-2.0
//
// The tables of the system plugin: what can be configured, and what it reads.
#pragma once

#include <fieldpost/plugin.hpp>

namespace system_plugin {

inline constexpr fp_option kOptions[] = {
    fieldpost::sdk::Option{.name = "disk",
                           .fallback = "/",
                           .help = "A folder; disk_used is of the file system that it is on."},
    fieldpost::sdk::Option{
        .name = "root",
        .fallback = "/",
        .help = "Where the machine's proc, sys and disk are found: \"/host\" in a container that "
                "has them there."},
};

// The order of the readers in system.cpp.
inline constexpr fp_attribute kAttributes[] = {
    fieldpost::sdk::Attribute{.name = "cpu_load",
                              .unit = "%",
                              .help = "Time that the processors were busy since the last reading; "
                                      "at first, since the boot."},
    fieldpost::sdk::Attribute{
        .name = "memory_used", .unit = "%", .help = "Memory that programs cannot have any more."},
    fieldpost::sdk::Attribute{
        .name = "disk_used", .unit = "%", .help = "Space in use where the option disk points."},
    fieldpost::sdk::Attribute{.name = "cpu_temperature",
                              .unit = "degC",
                              .help = "Of the first thermal zone; none on machines without one."},
    fieldpost::sdk::Attribute{
        .name = "uptime", .unit = "s", .help = "Time since the machine was started."},
    fieldpost::sdk::Attribute{.name = "under_voltage",
                              .type = FP_BOOLEAN,
                              .help =
                                  "Its supply is, or was a moment ago, too weak; on a Raspberry "
                                  "Pi, none on other machines."},
    fieldpost::sdk::Attribute{.name = "wireless_quality",
                              .help =
                                  "Of the first wireless network device that has a link, as its "
                                  "driver counts: of 70 with most."},
    fieldpost::sdk::Attribute{.name = "wireless_signal",
                              .unit = "dBm",
                              .help = "Strength of the same; none where the driver says no dBm."},
    fieldpost::sdk::Attribute{.name = "clock_synchronised",
                              .type = FP_BOOLEAN,
                              .help = "Somebody keeps the clock right; none where that cannot be "
                                      "seen."},
};

}  // namespace system_plugin
