// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

namespace plugin_common {

// To so many digits after the point, 0 to 9. What is too large to have any stays as it is.
inline double rounded(double value, int decimals) {
  const double power = std::pow(10, decimals);
  const double whole = std::round(value * power);
  return std::isfinite(whole) ? whole / power : value;
}

}  // namespace plugin_common
