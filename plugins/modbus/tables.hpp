// SPDX-License-Identifier: Apache-2.0
//
// What can be configured. README.md shows it to people.
#pragma once

#include <fieldpost/plugin.hpp>

#include <array>

#include "blocks.hpp"

namespace fieldpost::modbus {

inline constexpr std::array<fp_option, 8> kFlatOptions{{
    sdk::Option{.name = "url",
                .required = true,
                .help = "where the bus is: tcp://HOST:PORT; "
                        "rtu:///dev/serial/by-id/…?baud=9600&parity=N&stop=1; or "
                        "rtu+tcp://HOST:PORT?baud=9600, a serial line behind a converter",
                .exclusive = true},
    sdk::Option{.name = "unit",
                .type = FP_OPT_INTEGER,
                .fallback = "1",
                .help =
                    "address of the only unit, when there are no [[plugin.unit]] rows; 0 and 255 "
                    "are for devices that speak TCP themselves",
                .max = 255},
    sdk::Option{.name = "timeout",
                .type = FP_OPT_DURATION,
                .fallback = "500ms",
                .help = "how long an answer may take, not counting its time on a serial line",
                .min = 0.01,
                .max = 60},
    sdk::Option{.name = "connect_timeout",
                .type = FP_OPT_DURATION,
                .fallback = "2s",
                .help = "how long setting up a TCP connection may take",
                .min = 0.01,
                .max = 60},
    sdk::Option{.name = "max_gap",
                .type = FP_OPT_INTEGER,
                .fallback = "8",
                .help =
                    "so many registers that are not wanted, or 16 times as many coils, are read "
                    "along to save a request; 0: none",
                .max = kMaxRegisters},
    sdk::Option{.name = "max_registers",
                .type = FP_OPT_INTEGER,
                .fallback = "125",
                .help = "registers that one request may read, or 16 times as many coils",
                .min = 1,
                .max = kMaxRegisters},
    sdk::Option{.name = "request_pause",
                .type = FP_OPT_DURATION,
                .fallback = "0s",
                .help = "how long the bus is left alone between requests, at least",
                .max = 5},
    sdk::Option{.name = "write_function",
                .type = FP_OPT_CHOICE,
                .fallback = "auto",
                .help = "single: functions 5 and 6 alone; multiple: 15 and 16 alone; auto: 5 and 6 "
                        "for one value, 15 and 16 for more",
                .choices = "auto|single|multiple"},
}};

inline constexpr std::array<fp_option, 5> kUnitRow{{
    sdk::Option{.name = "address",
                .type = FP_OPT_INTEGER,
                .required = true,
                .help = "address of the unit on the bus",
                .max = 255},
    sdk::Option{.name = "timeout",
                .type = FP_OPT_DURATION,
                .help = "for this unit, instead of the instance's",
                .min = 0.01,
                .max = 60},
    sdk::Option{.name = "max_gap",
                .type = FP_OPT_INTEGER,
                .help = "for this unit, instead of the instance's",
                .max = kMaxRegisters},
    sdk::Option{.name = "max_registers",
                .type = FP_OPT_INTEGER,
                .help = "for this unit, instead of the instance's",
                .min = 1,
                .max = kMaxRegisters},
    sdk::Option{.name = "write_function",
                .type = FP_OPT_CHOICE,
                .help = "for this unit, instead of the instance's",
                .choices = "auto|single|multiple"},
}};

inline constexpr std::array<fp_option, 15> kRegisterRow{{
    sdk::Option{.name = "attribute",
                .type = FP_OPT_ATTRIBUTE,
                .required = true,
                .help = "where the value goes"},
    sdk::Option{.name = "table",
                .type = FP_OPT_CHOICE,
                .required = true,
                .help = "coil and holding can be written, discrete and input cannot",
                .choices = "coil|discrete|input|holding"},
    sdk::Option{.name = "address",
                .type = FP_OPT_INTEGER,
                .required = true,
                .help = "as it is on the wire, from 0: what manuals call 40101 is holding 100",
                .max = 65535},
    sdk::Option{.name = "type",
                .type = FP_OPT_CHOICE,
                .help = "default: bool for coil and discrete, uint16 for registers",
                .choices = "bool|bit|int8|uint8|int16|uint16|bcd16|bcd32|int32|uint32|int64|uint64|"
                           "float32|float64|string"},
    sdk::Option{.name = "bit",
                .type = FP_OPT_INTEGER,
                .help = "type bit: which one, 0 is the lowest; int8 and uint8: 0 (default) is the "
                        "low byte, 8 the high one; with bits: where the field begins",
                .max = 63},
    sdk::Option{.name = "bits",
                .type = FP_OPT_INTEGER,
                .help = "of int16 to uint64: so many bits, from bit on, are the number",
                .min = 1,
                .max = 63},
    sdk::Option{.name = "length",
                .type = FP_OPT_INTEGER,
                .help = "registers that a string takes, two characters each",
                .min = 1,
                .max = 125},
    sdk::Option{.name = "word_order",
                .type = FP_OPT_CHOICE,
                .fallback = "big",
                .help = "of types of several words: big is ABCD, little is CDAB",
                .choices = "big|little"},
    sdk::Option{.name = "byte_order",
                .type = FP_OPT_CHOICE,
                .fallback = "big",
                .help = "inside a register: little makes BADC of ABCD, and with little words DCBA",
                .choices = "big|little"},
    sdk::Option{.name = "scale",
                .type = FP_OPT_NUMBER,
                .fallback = "1",
                .help = "value = raw × scale + offset"},
    sdk::Option{.name = "offset", .type = FP_OPT_NUMBER, .fallback = "0", .help = "see scale"},
    sdk::Option{.name = "decimals",
                .type = FP_OPT_INTEGER,
                .help = "the value is rounded to so many places",
                .max = 9},
    sdk::Option{.name = "command",
                .type = FP_OPT_COMMAND,
                .help = "makes it writable: the command of this name takes the argument `value`"},
    sdk::Option{.name = "write_min",
                .type = FP_OPT_NUMBER,
                .help = "the least value the command takes; default: what the register can hold"},
    sdk::Option{
        .name = "write_max",
        .type = FP_OPT_NUMBER,
        .help = "the greatest value the command takes; default: what the register can hold"},
}};

inline constexpr std::array<fp_table, 2> kTables{{
    sdk::Table{.name = "unit",
               .units = true,
               .help = "One device on the bus. Without such rows there is one, "
                       "with the address options.unit.",
               .options = kUnitRow},
    sdk::Table{.name = "register",
               .help = "One value of a unit: a coil, a discrete input, or one or more registers.",
               .options = kRegisterRow},
}};

}  // namespace fieldpost::modbus
