// SPDX-License-Identifier: Apache-2.0
//
// What the entries of [[publish]] make of a reading that waits in the custom lane. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "model/reading.hpp"
#include "model/template.hpp"

namespace fieldpost {

class CustomTopics {
 public:
  // Their templates are right.
  explicit CustomTopics(const std::vector<PublishConfig>& entries);

  bool empty() const { return entries_.empty(); }
  // Where a reading goes, by the device that is none and its attribute; nothing: its entry is gone.
  std::optional<std::string> topic_of(std::string_view device, std::string_view attribute) const;
  struct Body {
    std::string payload;
    int qos = 1;
  };
  // Of one that has a topic.
  Body body_of(std::string_view device, const Point& point, int64_t time_ms) const;

 private:
  struct Entry {
    Template topic, payload;
    bool json = false;
    int qos = 1;
  };
  std::map<std::string, Entry, std::less<>> entries_;  // by name
};

}  // namespace fieldpost
