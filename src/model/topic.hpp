// SPDX-License-Identifier: Apache-2.0
//
// Topics of MQTT, and filters, in which '+' stands for one level and '#', at the end, for any
// number of them.
#pragma once

#include <string_view>

namespace fieldpost {

// Whether there is a topic that both filters match. The first level of neither is a wildcard; a
// topic is a filter too.
bool overlap(std::string_view filter, std::string_view other);
inline bool matches(std::string_view filter, std::string_view topic) {
  return overlap(filter, topic);
}

// Whether it is Losant's own: "losant" or below it.
bool is_losants(std::string_view topic);

}  // namespace fieldpost
