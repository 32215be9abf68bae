// SPDX-License-Identifier: Apache-2.0
//
// The tables of the iio plugin: what can be configured, and what it has.
#pragma once

#include <fieldpost/plugin.hpp>

#include "../common/options.hpp"

namespace iio {

inline constexpr fp_option kOptions[] = {
    fieldpost::sdk::Option{.name = "root",
                           .fallback = "/",
                           .help = "Where the machine's sys is found: \"/host\" in a container "
                                   "that has it there."},
};

inline constexpr fp_option kChip[] = {
    fieldpost::sdk::Option{.name = "chip",
                           .help = "Its name, which is the text of its file name in sysfs: "
                                   "\"bmp280\"; \"w1_slave_temp\" is a DS18B20."},
    fieldpost::sdk::Option{.name = "label",
                           .help = "What its file label says, where the device tree gives one."},
    fieldpost::sdk::Option{
        .name = "parent",
        .help = "Where it is: the bus id of its device, \"28-00000a1b2c3d\" or \"1-0076\", or the "
                "end of its path in sysfs or in the device tree, \"i2c@7e804000/bme280@76\"."},
};

inline constexpr fp_option kChannel[] = {
    plugin_common::kAttribute,
    fieldpost::sdk::Option{.name = "channel",
                           .required = true,
                           .help = "As the kernel names its files, up to what item adds: of hwmon "
                                   "\"temp1\", \"in0\", \"fan1\"; of iio \"in_temp\", "
                                   "\"in_voltage0\", \"in_voltage1-voltage2\"."},
    fieldpost::sdk::Option{
        .name = "item",
        .type = FP_OPT_CHOICE,
        .fallback = "value",
        .help = "What of the channel: what is measured, its raw count (iio), or something else "
                "that the driver has of it (hwmon). Alarms and fault are booleans.",
        .choices = "value|raw|average|lowest|highest|min|max|lcrit|crit|emergency|alarm|min_alarm|"
                   "max_alarm|lcrit_alarm|crit_alarm|emergency_alarm|fault"},
    plugin_common::kScale,
    plugin_common::kOffset,
    plugin_common::kDecimals,
    fieldpost::sdk::Option{
        .name = "unit",
        .help =
            "Of measure; unless given the channel's: degC, V, A, W, Pa, %, … With scale: none."},
};

inline constexpr fp_table kTables[] = {
    fieldpost::sdk::Table{.name = "chip",
                          .units = true,
                          .help = "A device that a driver of the kernel has.",
                          .options = kChip},
    fieldpost::sdk::Table{.name = "channel", .help = "What is read of it.", .options = kChannel},
};

inline constexpr fp_attribute kAttributes[] = {
    fieldpost::sdk::Attribute{.name = "<attribute>", .help = "The value of the channel."},
};

}  // namespace iio
