// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace fieldpost {

// A whole number that outlives its instance's process; `key` is formed like an attribute's name.
struct KeptValue {
  std::string key;
  int64_t value = 0;
  bool operator==(const KeptValue&) const = default;
};
inline constexpr size_t kMaxKept = 256;  // keys of an instance

}  // namespace fieldpost
