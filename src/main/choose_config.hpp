// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/paths.hpp"
#include "config/load.hpp"
#include "main/config_trial.hpp"

namespace fieldpost {

// Each as an error or a warning, as it is.
void log_problems(const std::vector<Problem>& problems);

// The trouble while there is nothing but what the package brought.
inline constexpr const char* kNotSetUp = "not set up: run fieldpost setup";

struct Chosen {
  std::optional<Config> config;  // nothing: none that is in place can be used
  std::string trouble;           // why it is not the one that is in place, or there is none
};

// Reads what is in place, and the last good configuration where the trial rules so. Waits for
// plugins and the disk. What was chosen is kept as the last good one unless it is on trial; then
// its [outbox] is that of the last good one. If that is to run and cannot, what was applied runs,
// with a trouble, and a part of it does not.
Chosen choose_config(const Paths& paths, ConfigTrial& trial, PluginProbe& probe, BootTime now);

// For a start, where there is none that runs: the last good one, if it can be used.
Chosen fall_back(const Paths& paths, Chosen chosen, PluginProbe& probe);

}  // namespace fieldpost
