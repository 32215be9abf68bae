// SPDX-License-Identifier: Apache-2.0
//
// What a host makes of the readings of an attribute, and which of them leave it: the same for every
// plugin (docs/readings.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"

namespace fieldpost {

struct ReportRule {
  enum class When : uint8_t { Always = 0, Change = 1, ChangeOrPeriod = 2 };
  static constexpr double kNoLimit = std::numeric_limits<double>::infinity();
  static constexpr uint32_t kAllDigits = 255;
  static constexpr uint32_t kStaleAfter = 3;

  When when = When::Always;
  // A number counts as changed when it is further than both of these from the last one that left.
  double deadband = 0;          // in the attribute's unit
  double deadband_percent = 0;  // of the last one that left
  nanoseconds period{};         // ChangeOrPeriod: after that the same value leaves again
  // Limits of a number, inclusive: beyond them it is out of range.
  double min = -kNoLimit, max = kNoLimit;
  nanoseconds expect_change{};  // a value that stays the same for so long is stuck; 0: it may
  // What a number becomes before all this: number × scale + offset, with so many digits after the
  // point. 1, 0 and kAllDigits leave it to the bit.
  double scale = 1, offset = 0;
  uint32_t decimals = kAllDigits;
  std::optional<std::string> unit;  // of measure; none: as the plugin declares it
  // Polls without a good reading until the value is stale; 0: never.
  uint32_t stale_after = kStaleAfter;
  // Keys that the plugin obeys itself in this row, so that the host must not: bits of ReportKeys.
  uint32_t plugins_own = 0;
  bool operator==(const ReportRule&) const = default;
};

// What one place of the configuration says: those members of `rule` whose bit is given.
struct ReportKeys {
  enum Key : uint32_t {
    When = 1U << 0,
    Deadband = 1U << 1,
    DeadbandPercent = 1U << 2,
    Period = 1U << 3,
    Min = 1U << 4,
    Max = 1U << 5,
    ExpectChange = 1U << 6,
    Scale = 1U << 7,
    Offset = 1U << 8,
    Decimals = 1U << 9,
    Unit = 1U << 10,
    StaleAfter = 1U << 11,
  };
  uint32_t given = 0;
  ReportRule rule;
  bool operator==(const ReportKeys&) const = default;
};

// What `keys` change of the rule that holds above them. Not what the plugin does itself.
ReportRule refined(ReportRule above, const ReportKeys& keys);

// Of one attribute by its name: refines what its row says.
struct NamedReportKeys {
  std::string attribute;
  ReportKeys keys;
  bool operator==(const NamedReportKeys&) const = default;
};

}  // namespace fieldpost
