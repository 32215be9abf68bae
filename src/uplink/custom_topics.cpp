// SPDX-License-Identifier: Apache-2.0
#include "uplink/custom_topics.hpp"

#include <utility>

#include "model/custom_device.hpp"
#include "uplink/payload.hpp"

namespace fieldpost {
namespace {

std::string written(const Value& value, bool json) {
  std::string text;
  if (const double* number = std::get_if<double>(&value)) {
    payload::append_number(text, *number);
  } else if (const bool* flag = std::get_if<bool>(&value)) {
    text = *flag ? "true" : "false";
  } else if (json) {
    payload::append_text(text, std::get<std::string>(value));
  } else {
    text = std::get<std::string>(value);
  }
  return text;
}

}  // namespace

CustomTopics::CustomTopics(const std::vector<PublishConfig>& entries) {
  for (const PublishConfig& entry : entries) {
    auto topic = Template::parse(entry.topic);
    auto payload = Template::parse(entry.payload);
    if (!topic || !payload) continue;
    entries_.emplace(entry.name, Entry{.topic = *std::move(topic),
                                       .payload = *std::move(payload),
                                       .json = entry.format == "json",
                                       .qos = entry.qos});
  }
}

std::optional<std::string> CustomTopics::topic_of(std::string_view device,
                                                  std::string_view attribute) const {
  const auto custom = parse_custom_device(device);
  if (!custom) return std::nullopt;
  const auto entry = entries_.find(custom->entry);
  if (entry == entries_.end()) return std::nullopt;
  return entry->second.topic.fill({.device = custom->device, .attribute = attribute});
}

CustomTopics::Body CustomTopics::body_of(std::string_view device, const Point& point,
                                         int64_t time_ms) const {
  const CustomDevice custom = parse_custom_device(device).value();
  const Entry& entry = entries_.find(custom.entry)->second;
  return {.payload = entry.payload.fill({.device = custom.device,
                                         .attribute = *point.attribute,
                                         .value = written(point.value, entry.json),
                                         .time = std::to_string(time_ms)}),
          .qos = entry.qos};
}

}  // namespace fieldpost
