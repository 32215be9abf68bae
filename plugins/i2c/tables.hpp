// SPDX-License-Identifier: Apache-2.0
//
// The tables of the i2c plugin: what can be configured, and what it has.
#pragma once

#include <fieldpost/plugin.hpp>

#include "../common/options.hpp"

namespace i2c {

inline constexpr fieldpost::sdk::Option kWidth{.name = "width",
                                               .type = FP_OPT_INTEGER,
                                               .unit = "bit",
                                               .fallback = "8",
                                               .help = "8, 16, 24 or 32.",
                                               .min = 8,
                                               .max = 32};
inline constexpr fieldpost::sdk::Option kEndianness{.name = "endianness",
                                                    .type = FP_OPT_CHOICE,
                                                    .fallback = "big",
                                                    .help = "Which byte comes first on the wire.",
                                                    .choices = "big|little"};

inline constexpr fp_option kOptions[] = {
    fieldpost::sdk::Option{.name = "bus",
                           .fallback = "/dev/i2c-1",
                           .help = "The bus: \"/dev/i2c-1\", or its number as text."},
};

inline constexpr fp_option kChip[] = {
    fieldpost::sdk::Option{.name = "address",
                           .type = FP_OPT_INTEGER,
                           .required = true,
                           .help = "The chip's 7-bit address, as i2cdetect shows it: 0x48.",
                           .min = 0x03,
                           .max = 0x77},
    fieldpost::sdk::Option{
        .name = "driver",
        .type = FP_OPT_CHOICE,
        .help = "Of a chip that is more than registers; its [[plugin.chip.value]] rows say what is "
                "read. Profiles of these names have them.",
        .choices = "bme280|bmp280|sht3x|sht4x|ads1115|bh1750|mcp23017"},
    fieldpost::sdk::Option{.name = "range",
                           .type = FP_OPT_CHOICE,
                           .unit = "V",
                           .fallback = "2.048",
                           .help = "Full scale of an ads1115. No input may be above its supply.",
                           .choices = "6.144|4.096|2.048|1.024|0.512|0.256"},
    fieldpost::sdk::Option{.name = "mux",
                           .type = FP_OPT_INTEGER,
                           .help = "The address of the TCA9548A or PCA9548A that the chip is "
                                   "behind. Where the kernel has it, its channels are buses.",
                           .min = 0x70,
                           .max = 0x77},
    fieldpost::sdk::Option{
        .name = "mux_channel", .type = FP_OPT_INTEGER, .help = "Its channel.", .max = 7},
};

inline constexpr fp_option kInit[] = {
    fieldpost::sdk::Option{.name = "register",
                           .type = FP_OPT_INTEGER,
                           .required = true,
                           .help = "The register's number.",
                           .max = 255},
    fieldpost::sdk::Option{.name = "value",
                           .type = FP_OPT_INTEGER,
                           .required = true,
                           .help = "What is written.",
                           .max = 4'294'967'295.0},
    kWidth,
    kEndianness,
};

inline constexpr fp_option kValue[] = {
    plugin_common::kAttribute,
    fieldpost::sdk::Option{
        .name = "channel",
        .required = true,
        .help = "What of the chip: temperature, pressure, humidity, illuminance; of an ads1115 "
                "\"a0\" to \"a3\", \"a0-a1\", \"a0-a3\", \"a1-a3\", \"a2-a3\"; of an mcp23017 "
                "\"a0\" to "
                "\"b7\"."},
    plugin_common::kScale,
    plugin_common::kOffset,
    plugin_common::kDecimals,
    fieldpost::sdk::Option{
        .name = "unit",
        .help = "Of measure; unless given the chip's: degC, Pa, %, lx, V. With scale: none."},
    fieldpost::sdk::Option{.name = "pull_up",
                           .type = FP_OPT_BOOLEAN,
                           .fallback = "false",
                           .help = "Of a pin: whether the chip pulls it up."},
    fieldpost::sdk::Option{.name = "active_low",
                           .type = FP_OPT_BOOLEAN,
                           .fallback = "false",
                           .help = "Of a pin: whether it is true at the low level."},
    fieldpost::sdk::Option{.name = "initial",
                           .type = FP_OPT_BOOLEAN,
                           .fallback = "false",
                           .help = "Of an output: what it becomes when the chip was without power. "
                                   "Otherwise it stays as it is."},
    fieldpost::sdk::Option{.name = "command",
                           .type = FP_OPT_COMMAND,
                           .help = "Makes a pin an output: the command that sets it, with the "
                                   "argument value."},
};

inline constexpr fp_option kRegister[] = {
    plugin_common::kAttribute,
    fieldpost::sdk::Option{.name = "register",
                           .type = FP_OPT_INTEGER,
                           .required = true,
                           .help = "The register's number.",
                           .max = 255},
    kWidth,
    kEndianness,
    fieldpost::sdk::Option{.name = "mask",
                           .type = FP_OPT_INTEGER,
                           .help = "The bits that count, one run of them; all unless given.",
                           .max = 4'294'967'295.0},
    fieldpost::sdk::Option{
        .name = "shift",
        .type = FP_OPT_INTEGER,
        .unit = "bit",
        .help = "How far down they are moved; to the bottom of mask unless given.",
        .max = 31},
    fieldpost::sdk::Option{.name = "signed",
                           .type = FP_OPT_BOOLEAN,
                           .fallback = "false",
                           .help = "Whether they are a two's complement number."},
    fieldpost::sdk::Option{
        .name = "type",
        .type = FP_OPT_CHOICE,
        .fallback = "number",
        .help = "A number, or a boolean that is true when any of the bits is set.",
        .choices = "number|boolean"},
    fieldpost::sdk::Option{
        .name = "scale", .type = FP_OPT_NUMBER, .fallback = "1", .help = "The value of one count."},
    plugin_common::kOffset,
    plugin_common::kDecimals,
    fieldpost::sdk::Option{.name = "unit", .help = "Of measure, for people: \"degC\"."},
    fieldpost::sdk::Option{.name = "command",
                           .type = FP_OPT_COMMAND,
                           .help = "The command that writes it, with the argument value; read-only "
                                   "unless given."},
};

inline constexpr fp_table kTables[] = {
    fieldpost::sdk::Table{
        .name = "chip", .units = true, .help = "A chip on the bus.", .options = kChip},
    fieldpost::sdk::Table{
        .name = "register", .help = "A register, or some bits of one.", .options = kRegister},
    fieldpost::sdk::Table{.name = "value",
                          .help = "Something that a chip with a driver measures, or a pin of it.",
                          .options = kValue},
    fieldpost::sdk::Table{.name = "init",
                          .help = "What is written before the chip is read first, and again when "
                                  "it has been silent.",
                          .options = kInit},
};

inline constexpr fp_attribute kAttributes[] = {
    fieldpost::sdk::Attribute{.name = "<attribute>",
                              .help = "The value of the register, or of the channel."},
};

inline constexpr fp_option kArguments[] = {
    fieldpost::sdk::Option{.name = "value",
                           .type = FP_OPT_NUMBER,
                           .required = true,
                           .help = "What to write; true or false for a boolean."},
};

inline constexpr fp_command kCommands[] = {
    fieldpost::sdk::Command{.name = "<command>",
                            .help = "Writes the register or sets the pin, and answers with what it "
                                    "then says.",
                            .args = kArguments,
                            .output = "<attribute>",
                            .readback = "<attribute>",
                            .idempotent = true},
};

}  // namespace i2c
