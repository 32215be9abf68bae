// SPDX-License-Identifier: Apache-2.0
//
// Options that mean the same in several plugins: of a row that reads a number.
#pragma once

#include <fieldpost/plugin.hpp>

namespace plugin_common {

inline constexpr fieldpost::sdk::Option kAttribute{.name = "attribute",
                                                   .type = FP_OPT_ATTRIBUTE,
                                                   .required = true,
                                                   .help = "The attribute that shows the value."};
inline constexpr fieldpost::sdk::Option kScale{
    .name = "scale", .type = FP_OPT_NUMBER, .fallback = "1", .help = "It is multiplied by."};
inline constexpr fieldpost::sdk::Option kOffset{
    .name = "offset", .type = FP_OPT_NUMBER, .fallback = "0", .help = "Added after scale."};
inline constexpr fieldpost::sdk::Option kDecimals{
    .name = "decimals",
    .type = FP_OPT_INTEGER,
    .help = "Digits after the point that are kept; all unless given.",
    .max = 9};

}  // namespace plugin_common
