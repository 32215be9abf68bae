// SPDX-License-Identifier: Apache-2.0
//
// `fieldpost check --live`: whether what a configuration names is there. What the running agent
// has, it is asked about; the rest is tried. Nothing is written, no output is driven.
#pragma once

#include <string>
#include <vector>

#include "cli/paths.hpp"
#include "config/config.hpp"

namespace fieldpost::cli {

struct Finding {
  enum class Grade : uint8_t { Fine, Warning, Error };
  Grade grade = Grade::Fine;
  std::string about;  // "boiler-plc", "broker", "clock", "disk"
  std::string text;   // what was found, and what to do about it
};

std::vector<Finding> look_live(const Paths& paths, const Config& config);

}  // namespace fieldpost::cli
