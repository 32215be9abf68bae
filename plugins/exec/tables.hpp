// SPDX-License-Identifier: Apache-2.0
//
// The tables of the exec plugin: what can be configured, and what it has.
#pragma once

#include <fieldpost/plugin.hpp>

#include "../common/options.hpp"

namespace exec {

inline constexpr fp_option kOptions[] = {
    fieldpost::sdk::Option{
        .name = "command",
        .required = true,
        .help = "The program, by its path or its name in PATH, and its arguments. They are "
                "separated by blanks; '…', \"…\" and \\ quote. No shell sees it."},
    fieldpost::sdk::Option{
        .name = "mode",
        .type = FP_OPT_CHOICE,
        .fallback = "stream",
        .help = "stream: it runs on and prints a line for each sample; poll: it is run once per "
                "interval and ends.",
        .choices = "stream|poll"},
    fieldpost::sdk::Option{.name = "cwd", .fallback = "/", .help = "The folder it is started in."},
    fieldpost::sdk::Option{.name = "timeout",
                           .type = FP_OPT_DURATION,
                           .fallback = "10s",
                           .help = "Of mode poll: how long a run may take before it is ended.",
                           .min = 0.1,
                           .max = 86'400},
    fieldpost::sdk::Option{.name = "silence",
                           .type = FP_OPT_DURATION,
                           .help = "Of mode stream: one that prints no line for so long is ended "
                                   "and started anew; never unless given.",
                           .min = 0.1,
                           .max = 86'400},
    fieldpost::sdk::Option{.name = "command_timeout",
                           .type = FP_OPT_DURATION,
                           .fallback = "5s",
                           .help = "How long the answer to a command may take; less than the "
                                   "instance's deadline.",
                           .min = 0.1,
                           .max = 3'600},
};

inline constexpr fp_option kReading[] = {
    plugin_common::kAttribute,
    fieldpost::sdk::Option{.name = "type",
                           .type = FP_OPT_CHOICE,
                           .fallback = "number",
                           .help = "What the program prints for it.",
                           .choices = "number|boolean|string"},
};

inline constexpr fp_option kCommand[] = {
    fieldpost::sdk::Option{.name = "command",
                           .type = FP_OPT_COMMAND,
                           .required = true,
                           .help = "The command that is handed to the program."},
    fieldpost::sdk::Option{.name = "type",
                           .type = FP_OPT_CHOICE,
                           .fallback = "none",
                           .help = "Of its argument value; none: it takes no argument.",
                           .choices = "none|number|integer|boolean|string"},
    fieldpost::sdk::Option{
        .name = "min", .type = FP_OPT_NUMBER, .help = "The least value it takes; goes with max."},
    fieldpost::sdk::Option{.name = "max",
                           .type = FP_OPT_NUMBER,
                           .help = "The greatest value it takes; goes with min."},
    fieldpost::sdk::Option{.name = "readback",
                           .type = FP_OPT_ATTRIBUTE,
                           .help = "The attribute that shows the effect; the program's answer is a "
                                   "reading of it."},
    fieldpost::sdk::Option{.name = "idempotent",
                           .type = FP_OPT_BOOLEAN,
                           .fallback = "false",
                           .help = "Whether running it twice is as good as once."},
};

inline constexpr fp_option kEnv[] = {
    fieldpost::sdk::Option{.name = "name", .required = true, .help = "Of the variable."},
    fieldpost::sdk::Option{.name = "value", .required = true, .help = "What it is set to."},
};

inline constexpr fp_table kTables[] = {
    fieldpost::sdk::Table{
        .name = "reading", .help = "An attribute that the program prints.", .options = kReading},
    fieldpost::sdk::Table{.name = "command",
                          .help = "A command that the program takes, in mode stream.",
                          .options = kCommand},
    fieldpost::sdk::Table{
        .name = "env", .help = "A variable of the program's environment.", .options = kEnv},
};

inline constexpr fp_attribute kAttributes[] = {
    fieldpost::sdk::Attribute{.name = "<attribute>", .help = "What the program prints."},
};

inline constexpr fp_command kCommands[] = {
    fieldpost::sdk::Command{.name = "<command>", .help = "Is handed to the program."},
};

}  // namespace exec
