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

inline constexpr fieldpost::sdk::Option kBias{.name = "bias",
                                              .type = FP_OPT_CHOICE,
                                              .fallback = "as-is",
                                              .help = "The chip's own resistor on the line.",
                                              .choices = "as-is|disabled|pull-up|pull-down"};
inline constexpr fieldpost::sdk::Option kDebounce{
    .name = "debounce",
    .type = FP_OPT_DURATION,
    .fallback = "0s",
    .help = "How long a level must stand before an edge counts.",
    .max = 60};

inline constexpr fp_option kInput[] = {
    kAttribute,
    kLine,
    kOffset,
    kActiveLow,
    kBias,
    fieldpost::sdk::Option{
        .name = "edge",
        .type = FP_OPT_CHOICE,
        .fallback = "none",
        .help = "Changes to report at once, with the kernel's time; the level is read "
                "every interval in any case.",
        .choices = "none|rising|falling|both"},
    kDebounce,
};

// What the attributes of a counter are; the same where a row declares them and in the help.
inline constexpr struct {
  const char* total = "How many pulses there were, from the first on; survives restarts.";
  const char* rate = "Pulses per second, over rate_window.";
  const char* frequency = "From the kernel's times of the edges since the last reading.";
  const char* width =
      "How long the pulses since the last reading were active, on average; none if there was none.";
  const char* missed = "Edges that came faster than they were read; survives restarts.";
} kCounterHelp;

inline constexpr fp_option kCounter[] = {
    fieldpost::sdk::Option{.name = "attribute",
                           .type = FP_OPT_ATTRIBUTE,
                           .required = true,
                           .help = "The attribute that shows the total."},
    kLine,
    kOffset,
    kActiveLow,
    kBias,
    fieldpost::sdk::Option{.name = "edge",
                           .type = FP_OPT_CHOICE,
                           .fallback = "rising",
                           .help = "What counts: becoming active, becoming inactive, or each.",
                           .choices = "rising|falling|both"},
    kDebounce,
    fieldpost::sdk::Option{.name = "command",
                           .type = FP_OPT_COMMAND,
                           .help = "A command that sets the total, with the argument value."},
    fieldpost::sdk::Option{.name = "rate",
                           .type = FP_OPT_ATTRIBUTE,
                           .help = "An attribute for the pulses per second."},
    fieldpost::sdk::Option{.name = "rate_window",
                           .type = FP_OPT_DURATION,
                           .fallback = "60s",
                           .help = "The time over which rate is taken.",
                           .min = 1,
                           .max = 86'400},
    fieldpost::sdk::Option{.name = "frequency",
                           .type = FP_OPT_ATTRIBUTE,
                           .help = "An attribute for the frequency, in Hz."},
    fieldpost::sdk::Option{.name = "frequency_timeout",
                           .type = FP_OPT_DURATION,
                           .fallback = "10s",
                           .help = "So long after the last pulse the frequency is 0.",
                           .min = 0.001,
                           .max = 86'400},
    fieldpost::sdk::Option{.name = "width",
                           .type = FP_OPT_ATTRIBUTE,
                           .help = "An attribute for the mean width of the pulses, in s."},
    fieldpost::sdk::Option{.name = "missed",
                           .type = FP_OPT_ATTRIBUTE,
                           .help = "An attribute for the number of edges that were missed."},
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
    fieldpost::sdk::Table{
        .name = "counter", .help = "A line whose pulses are counted.", .options = kCounter},
};

inline constexpr fp_attribute kAttributes[] = {
    fieldpost::sdk::Attribute{.name = "<attribute>",
                              .type = FP_BOOLEAN,
                              .help = "The level of the line: true is active."},
    fieldpost::sdk::Attribute{.name = "<total>", .help = kCounterHelp.total},
    fieldpost::sdk::Attribute{.name = "<rate>", .unit = "1/s", .help = kCounterHelp.rate},
    fieldpost::sdk::Attribute{.name = "<frequency>", .unit = "Hz", .help = kCounterHelp.frequency},
    fieldpost::sdk::Attribute{.name = "<width>", .unit = "s", .help = kCounterHelp.width},
    fieldpost::sdk::Attribute{.name = "<missed>", .help = kCounterHelp.missed},
};

inline constexpr fp_option kTotalArguments[] = {
    fieldpost::sdk::Option{.name = "value",
                           .type = FP_OPT_INTEGER,
                           .required = true,
                           .help = "The total to go on from.",
                           .max = 9'007'199'254'740'992},
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
    fieldpost::sdk::Command{.name = "<set-total>",
                            .help = "Sets the total of a counter, and answers with it.",
                            .args = kTotalArguments,
                            .output = "<total>",
                            .readback = "<total>",
                            .idempotent = true},
};

}  // namespace gpio
