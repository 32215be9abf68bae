// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace fieldpost {

// FNV-1a: the same in every process and version, unlike std::hash. Finds what a disk or a torn
// write has done to a text; no protection against anybody who means it.
constexpr uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 14'695'981'039'346'656'037U;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1'099'511'628'211U;
  }
  return hash;
}

}  // namespace fieldpost
