// SPDX-License-Identifier: Apache-2.0
#include "base/json.hpp"

namespace fieldpost {

Result<Json> parse_json(std::string_view text, int depth) {
  bool too_deep = false;
  Json json = Json::parse(
      text.begin(), text.end(),
      [&](int level, Json::parse_event_t, Json&) { return too_deep |= level > depth, !too_deep; },
      /*allow_exceptions=*/false);
  if (too_deep) return Error{Errc::Invalid, "nested more than " + std::to_string(depth) + " deep"};
  if (json.is_discarded()) return Error{Errc::Invalid, "not valid JSON"};
  return json;
}

std::string dump_json(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace fieldpost
