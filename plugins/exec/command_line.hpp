// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace exec {

// The words of a command. Blanks separate; '…' keeps all as it is; in "…" a backslash quotes " and
// itself; elsewhere it quotes any character. Nothing else is special: there is no shell.
// Throws sdk::ConfigError where a quote is open, where there is no word, and for what only a shell
// would understand (a word that is |, >, &&, …).
std::vector<std::string> split_command(std::string_view text);

}  // namespace exec
