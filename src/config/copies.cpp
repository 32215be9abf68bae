// SPDX-License-Identifier: Apache-2.0
#include "config/copies.hpp"

#include <algorithm>

#include "config/own_names.hpp"
#include "model/custom_device.hpp"
#include "model/template.hpp"

namespace fieldpost {

bool selects(const PublishConfig& entry, std::string_view device, std::string_view attribute) {
  return (entry.device.empty() || entry.device == device) &&
         (entry.attributes.empty() ||
          std::ranges::find(entry.attributes, attribute) != entry.attributes.end()) &&
         !attribute.starts_with(kOwnAttributes);
}

std::string copy_of(const PublishConfig& entry, std::string_view device,
                    std::string_view attribute) {
  const auto topic = Template::parse(entry.topic);
  const bool named = topic && topic->has(Template::Place::AttributeName);
  return id_of({entry.name, device, named ? attribute : std::string_view()});
}

}  // namespace fieldpost
