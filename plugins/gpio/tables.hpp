// SPDX-License-Identifier: Apache-2.0
//
// The tables of the gpio plugin: what can be configured, and what it has.
#pragma once

#include <fieldpost/plugin.hpp>

namespace gpio {

inline constexpr fp_option kOptions[] = {
    fieldpost::sdk::Option{
        .name = "chip",
        .fallback = "gpiochip0",
        .help = "The chip: its label (\"pinctrl-bcm2711\", which stays when numbers move), "
                "name, number or path."},
};

inline constexpr fieldpost::sdk::Option kAttribute{.name = "attribute",
                                                   .type = FP_OPT_ATTRIBUTE,
                                                   .required = true,
                                                   .help = "The attribute that shows the level."};
inline constexpr fieldpost::sdk::Option kLine{.name = "line",
                                              .help = "The line, by its name; or give offset."};
inline constexpr fieldpost::sdk::Option kOffset{.name = "offset",
                                                .type = FP_OPT_INTEGER,
                                                .help = "The line, by its number on the chip.",
                                                .max = 65'535};
inline constexpr fieldpost::sdk::Option kActiveLow{.name = "active_low",
                                                   .type = FP_OPT_BOOLEAN,
                                                   .fallback = "false",
                                                   .help = "Whether a low voltage means true."};

inline constexpr fp_option kInput[] = {
    kAttribute,
    kLine,
    kOffset,
    kActiveLow,
    fieldpost::sdk::Option{.name = "bias",
                           .type = FP_OPT_CHOICE,
                           .fallback = "as-is",
                           .help = "The chip's own resistor on the line.",
                           .choices = "as-is|disabled|pull-up|pull-down"},
    fieldpost::sdk::Option{
        .name = "edge",
        .type = FP_OPT_CHOICE,
        .fallback = "none",
        .help = "Changes to report at once, with the kernel's time; the level is read "
                "every interval in any case.",
        .choices = "none|rising|falling|both"},
    fieldpost::sdk::Option{.name = "debounce",
                           .type = FP_OPT_DURATION,
                           .fallback = "0s",
                           .help = "How long a level must stand before an edge counts.",
                           .max = 60},
};

inline constexpr fp_option kOutput[] = {
    kAttribute,
    kLine,
    kOffset,
    kActiveLow,
    fieldpost::sdk::Option{
        .name = "command",
        .type = FP_OPT_COMMAND,
        .required = true,
        .help = "The command that sets the line, with the argument value = true or false."},
    fieldpost::sdk::Option{
        .name = "initial",
        .type = FP_OPT_CHOICE,
        .fallback = "keep",
        .help = "The level when the line is taken: the one it has, or a fixed one.",
        .choices = "keep|off|on"},
};

inline constexpr fp_table kTables[] = {
    fieldpost::sdk::Table{.name = "input", .help = "A line to read.", .options = kInput},
    fieldpost::sdk::Table{.name = "output", .help = "A line to drive.", .options = kOutput},
};

inline constexpr fp_attribute kAttributes[] = {
    fieldpost::sdk::Attribute{.name = "<attribute>",
                              .type = FP_BOOLEAN,
                              .help = "The level of the line: true is active."},
};

inline constexpr fp_option kArguments[] = {
    fieldpost::sdk::Option{.name = "value",
                           .type = FP_OPT_BOOLEAN,
                           .required = true,
                           .help = "The level to set: true is active."},
};

inline constexpr fp_command kCommands[] = {
    fieldpost::sdk::Command{.name = "<command>",
                            .help = "Sets the line, and answers with the level it then has.",
                            .args = kArguments,
                            .output = "<attribute>",
                            .readback = "<attribute>",
                            .idempotent = true},
};

}  // namespace gpio
