// SPDX-License-Identifier: Apache-2.0
#include "model/names.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace fieldpost {
namespace {

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

}  // namespace

bool is_attribute_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && std::ranges::all_of(name, [](char c) {
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
  });
}

bool is_device_id(std::string_view id) {
  return id.size() == 24 && std::ranges::all_of(id, [](char c) {
           return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9');
         });
}

bool is_command_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && is_utf8(name) &&
         std::ranges::none_of(
             name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

bool is_local_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && is_lower_alnum(name.front()) &&
         std::ranges::all_of(
             name, [](char c) { return is_lower_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

}  // namespace fieldpost
