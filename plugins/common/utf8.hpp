// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace plugin_common {

// Whether a device's text is UTF-8 (RFC 3629: shortest forms, no surrogates, at most U+10FFFF).
inline bool is_utf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  for (size_t i = 0; i < text.size();) {
    const unsigned first = byte(i++);
    if (first < 0x80) continue;
    if (first < 0xC2 || first > 0xF4) return false;
    const size_t more = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    if (text.size() - i < more) return false;
    unsigned code = first & (0x3FU >> more);
    for (size_t k = 0; k < more; ++k, ++i) {
      if ((byte(i) & 0xC0U) != 0x80) return false;
      code = code << 6 | (byte(i) & 0x3FU);
    }
    const bool too_long = (more == 2 && code < 0x800) || (more == 3 && code < 0x10000);
    if (too_long || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
  }
  return true;
}

}  // namespace plugin_common
