// SPDX-License-Identifier: Apache-2.0
#include "base/json.hpp"

#include <algorithm>
#include <vector>

namespace fieldpost {

Result<Json> parse_json(std::string_view text, int depth) {
  bool too_deep = false;
  bool too_wide = false;
  std::vector<size_t> members;  // so far, of the object that is open at each level
  Json json = Json::parse(
      text.begin(), text.end(),
      [&](int level, Json::parse_event_t event, Json&) {
        too_deep = too_deep || level > depth;
        if (too_deep || too_wide) return false;
        members.resize(std::max(members.size(), static_cast<size_t>(level) + 2));
        if (event == Json::parse_event_t::object_start) members[static_cast<size_t>(level) + 1] = 0;
        if (event == Json::parse_event_t::key) {
          too_wide = ++members[static_cast<size_t>(level)] > kMaxMembers;
        }
        return !too_wide;
      },
      /*allow_exceptions=*/false);
  if (too_deep) return Error{Errc::Invalid, "nested more than " + std::to_string(depth) + " deep"};
  if (too_wide) {
    return Error{Errc::Invalid,
                 "an object with more than " + std::to_string(kMaxMembers) + " members"};
  }
  if (json.is_discarded()) return Error{Errc::Invalid, "not valid JSON"};
  return json;
}

std::string dump_json(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace fieldpost
