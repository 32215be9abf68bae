// SPDX-License-Identifier: Apache-2.0
//
// The tables of the i2c plugin: what can be configured, and what it has.
#pragma once

#include <fieldpost/plugin.hpp>

namespace i2c {

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
};

inline constexpr fp_option kRegister[] = {
    fieldpost::sdk::Option{.name = "attribute",
                           .type = FP_OPT_ATTRIBUTE,
                           .required = true,
                           .help = "The attribute that shows the value."},
    fieldpost::sdk::Option{.name = "register",
                           .type = FP_OPT_INTEGER,
                           .required = true,
                           .help = "The register's number.",
                           .max = 255},
    fieldpost::sdk::Option{.name = "width",
                           .type = FP_OPT_INTEGER,
                           .unit = "bit",
                           .fallback = "8",
                           .help = "8, 16, 24 or 32.",
                           .min = 8,
                           .max = 32},
    fieldpost::sdk::Option{.name = "endianness",
                           .type = FP_OPT_CHOICE,
                           .fallback = "big",
                           .help = "Which byte comes first on the wire.",
                           .choices = "big|little"},
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
    fieldpost::sdk::Option{
        .name = "offset", .type = FP_OPT_NUMBER, .fallback = "0", .help = "Added after scale."},
    fieldpost::sdk::Option{.name = "decimals",
                           .type = FP_OPT_INTEGER,
                           .help = "Digits after the point that are kept; all unless given.",
                           .max = 9},
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
};

inline constexpr fp_attribute kAttributes[] = {
    fieldpost::sdk::Attribute{.name = "<attribute>", .help = "The value of the register."},
};

inline constexpr fp_option kArguments[] = {
    fieldpost::sdk::Option{.name = "value",
                           .type = FP_OPT_NUMBER,
                           .required = true,
                           .help = "What to write; true or false for a boolean."},
};

inline constexpr fp_command kCommands[] = {
    fieldpost::sdk::Command{.name = "<command>",
                            .help = "Writes the register, and answers with what it then says.",
                            .args = kArguments,
                            .output = "<attribute>",
                            .readback = "<attribute>",
                            .idempotent = true},
};

}  // namespace i2c
