// SPDX-License-Identifier: Apache-2.0
#include "driver.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

namespace i2c {

void Driver::write(Link& link, size_t /*index*/, bool /*on*/) {
  link.fail(EOPNOTSUPP, "has nothing to write");  // declaring refuses such a row
}

std::span<const Driver::Kind* const> driver_kinds() {
  static constexpr std::array<const Driver::Kind*, 7> kAll = {
      &kBme280, &kBmp280, &kSht3x, &kSht4x, &kAds1115, &kBh1750, &kMcp23017};
  return kAll;
}

const Driver::Kind* find_driver(std::string_view name) {
  const auto all = driver_kinds();
  const auto it = std::ranges::find(all, name, [](const Driver::Kind* kind) { return kind->name; });
  return it == all.end() ? nullptr : *it;
}

}  // namespace i2c
