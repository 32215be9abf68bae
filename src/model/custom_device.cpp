// SPDX-License-Identifier: Apache-2.0
#include "model/custom_device.hpp"

#include <algorithm>

namespace fieldpost {

std::string id_of(const CustomDevice& device) {
  std::string id(kCustomDevice);
  id.append(device.entry).append(":").append(device.device);
  if (!device.attribute.empty()) id.append(":").append(device.attribute);
  return id;
}

std::optional<CustomDevice> parse_custom_device(std::string_view id) {
  if (!is_custom(id)) return std::nullopt;
  id.remove_prefix(kCustomDevice.size());
  const auto next = [&id] {
    const size_t end = std::min(id.find(':'), id.size());
    const std::string_view part = id.substr(0, end);
    id.remove_prefix(std::min(end + 1, id.size()));
    return part;
  };
  CustomDevice found;
  found.entry = next();
  found.device = next();
  found.attribute = id;
  if (found.entry.empty() || found.device.empty()) return std::nullopt;
  return found;
}

std::string shown_device(std::string_view id) {
  const auto custom = parse_custom_device(id);
  if (!custom) return std::string(id);
  return "publish " + std::string(custom->entry) + " (" + std::string(custom->device) + ")";
}

}  // namespace fieldpost
