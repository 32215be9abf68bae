// SPDX-License-Identifier: Apache-2.0
#include "supervisor/discretion.hpp"

#include "base/secrets.hpp"
#include "base/text.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMaxText = 200;     // bytes that are shown
constexpr size_t kMaxLooked = 4000;  // that are looked at

}  // namespace

std::string without_secrets(std::string_view text) {
  return printable(mask_secrets(printable(text, kMaxLooked)), kMaxText);
}

}  // namespace fieldpost
