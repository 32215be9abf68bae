// SPDX-License-Identifier: Apache-2.0
//
// What can be configured. README.md shows it to people.
#pragma once

#include <fieldpost/plugin.hpp>

#include <array>

namespace fieldpost::sim {

inline constexpr const char* kFaults =
    "none|refuse|crash|hang|leak|flood|chatter|error|garbage|scribble";

inline constexpr std::array<fp_option, 10> kFlatOptions{{
    sdk::Option{.name = "seed",
                .type = FP_OPT_INTEGER,
                .fallback = "1",
                .help = "the same seed gives the same values",
                .min = 1,
                .max = 9007199254740991},
    sdk::Option{.name = "delay",
                .type = FP_OPT_DURATION,
                .fallback = "0s",
                .help = "how long a poll takes"},
    sdk::Option{.name = "events",
                .type = FP_OPT_DURATION,
                .help = "reads all units by itself at this interval too, as an event",
                .min = 0.001,
                .max = 86400},
    sdk::Option{.name = "fault",
                .type = FP_OPT_CHOICE,
                .fallback = "none",
                .help = "what goes wrong, for trying out what happens then",
                .choices = kFaults},
    sdk::Option{.name = "fault_after",
                .type = FP_OPT_DURATION,
                .fallback = "0s",
                .help = "when it goes wrong, counted from the start"},
    sdk::Option{.name = "fault_after_polls",
                .type = FP_OPT_INTEGER,
                .fallback = "0",
                .help = "how many polls are good before"},
    sdk::Option{.name = "csv",
                .help = "replays this recording: what `fieldpost outbox export` writes, or any "
                        "file with the columns time,attribute,value"},
    sdk::Option{.name = "csv_device", .help = "only rows of this device, by name or id"},
    sdk::Option{.name = "csv_repeat",
                .type = FP_OPT_BOOLEAN,
                .fallback = "true",
                .help = "begin again at the end of the recording"},
    sdk::Option{.name = "csv_speed",
                .type = FP_OPT_NUMBER,
                .fallback = "1",
                .help = "3600 replays an hour in a second",
                .min = 0.001,
                .max = 1000000},
}};

inline constexpr std::array<fp_option, 3> kUnitRow{{
    sdk::Option{.name = "fault",
                .type = FP_OPT_CHOICE,
                .fallback = "none",
                .help = "goes wrong when this unit is polled",
                .choices = kFaults},
    sdk::Option{.name = "fault_after",
                .type = FP_OPT_DURATION,
                .fallback = "0s",
                .help = "when it goes wrong, counted from the start"},
    sdk::Option{.name = "fault_after_polls",
                .type = FP_OPT_INTEGER,
                .fallback = "0",
                .help = "how many polls of it are good before"},
}};

inline constexpr std::array<fp_option, 10> kSignalRow{{
    sdk::Option{.name = "attribute",
                .type = FP_OPT_ATTRIBUTE,
                .required = true,
                .help = "where the value goes"},
    sdk::Option{.name = "shape",
                .type = FP_OPT_CHOICE,
                .fallback = "sine",
                .help = "square is a boolean, text a string, the others are numbers",
                .choices = "sine|ramp|counter|random_walk|constant|square|text"},
    sdk::Option{.name = "amplitude",
                .type = FP_OPT_NUMBER,
                .fallback = "1",
                .help = "of sine and ramp; how far random_walk strays"},
    sdk::Option{.name = "offset",
                .type = FP_OPT_NUMBER,
                .fallback = "0",
                .help = "the middle of sine and random_walk, the start of ramp and counter"},
    sdk::Option{.name = "period",
                .type = FP_OPT_DURATION,
                .fallback = "60s",
                .help = "of sine, ramp, square and text",
                .min = 0.001,
                .max = 31536000},
    sdk::Option{.name = "step",
                .type = FP_OPT_NUMBER,
                .fallback = "1",
                .help = "of counter with each poll; of random_walk at most"},
    sdk::Option{.name = "kept",
                .type = FP_OPT_BOOLEAN,
                .fallback = "false",
                .help = "whether a counter goes on where the process before this one stopped"},
    sdk::Option{.name = "decimals",
                .type = FP_OPT_INTEGER,
                .fallback = "3",
                .help = "numbers are rounded to so many places",
                .max = 9},
    sdk::Option{.name = "texts",
                .fallback = "idle|starting|running",
                .help = "what text shows in turn, separated by |"},
    sdk::Option{.name = "command",
                .type = FP_OPT_COMMAND,
                .help = "the command of this name sets the signal to its argument `value`"},
}};

inline constexpr std::array<fp_table, 2> kTables{{
    sdk::Table{.name = "unit",
               .units = true,
               .help = "One device that is made up. Without such rows there is one.",
               .options = kUnitRow},
    sdk::Table{.name = "signal",
               .help = "One value of it. Without such rows there are a few.",
               .options = kSignalRow},
}};

}  // namespace fieldpost::sim
