// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"

namespace fieldpost {

// Which readings of an attribute leave its host, and what is made of them there.
struct ReportRule {
  enum class When : uint8_t { Always = 0, Change = 1, ChangeOrPeriod = 2 };
  When when = When::Always;
  // A number counts as changed when it is further than both of these from the last one that left.
  double deadband = 0;          // in the attribute's unit
  double deadband_percent = 0;  // of the last one that left
  nanoseconds period{};         // ChangeOrPeriod: after that the same value leaves again
  // Limits of a number, inclusive: beyond them it is out of range.
  bool has_min = false, has_max = false;
  double min = 0, max = 0;
  nanoseconds expect_change{};  // a value that stays the same for so long is stuck; 0: it may
  bool operator==(const ReportRule&) const = default;
};

// Of one attribute by its name, whatever its row says.
struct NamedReportRule {
  std::string attribute;
  ReportRule rule;
  bool operator==(const NamedReportRule&) const = default;
};

}  // namespace fieldpost
