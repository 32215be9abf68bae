// SPDX-License-Identifier: Apache-2.0
#include "supervisor/guest_json.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"
#include "model/value_json.hpp"

namespace fieldpost {
namespace {

Error invalid(const std::string& what) { return {Errc::Invalid, what}; }

Result<Value> legal_value(const Json& json) {
  auto value = value_from(json);
  if (!value) return invalid("expected a number, true, false or text as a value");
  if (!is_legal(*value)) return invalid("a text is at most 64 KiB of UTF-8");
  return *std::move(value);
}

Result<uint32_t> index_from(const Json& json, size_t size) {
  if (!json.is_number_unsigned() || json.get<uint64_t>() >= size) {
    return invalid("expected the number of a section");
  }
  return json.get<uint32_t>();
}

Result<Quality> quality_from(const Json& json) {
  for (const Quality q :
       {Quality::Good, Quality::Stale, Quality::CommError, Quality::OutOfRange, Quality::Stuck}) {
    if (json == name_of(q)) return q;
  }
  return invalid("an unknown quality");
}

std::string text_in(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

Result<ConfigSection> section_from(const Json& json, size_t sections) {
  if (!json.is_object()) return invalid("expected an object as a section");
  ConfigSection section;
  section.table = text_in(json, "table");
  section.parent = FP_TRY(index_from(json.value("parent", Json(0U)), sections));
  const Json values = json.value("values", Json::object());
  if (!values.is_object()) return invalid("expected an object as values");
  for (const auto& [key, value] : values.items()) section.values[key] = FP_TRY(legal_value(value));
  return section;
}

}  // namespace

Json guest_to_json(const InstanceConfig& config) {
  Json sections = Json::array();
  for (const ConfigSection& section : config.sections) {
    Json values = Json::object();
    for (const auto& [key, value] : section.values) values[key] = to_json(value);
    sections.push_back(
        {{"table", section.table}, {"parent", section.parent}, {"values", std::move(values)}});
  }
  return Json{{"sections", std::move(sections)}, {"unit", config.units.at(0)}};
}

Result<InstanceConfig> guest_from_json(const Json& json) {
  const Json sections = json.value("sections", Json());
  if (!sections.is_array() || sections.empty() || sections.size() > message::kMaxTableRows) {
    return invalid("sections: expected 1 to " + std::to_string(message::kMaxTableRows));
  }
  InstanceConfig config;
  for (const Json& section : sections) {
    config.sections.push_back(FP_TRY(section_from(section, sections.size())));
  }
  config.units = {FP_TRY(index_from(json.value("unit", Json(0U)), sections.size()))};
  return config;
}

Json reading_to_json(const message::GuestReading& reading) {
  Json attributes = Json::array();
  for (const std::string& name : reading.attributes) attributes.push_back({{"name", name}});
  for (const Sample& sample : reading.samples) {
    for (const Reading& r : sample.readings) {
      if (r.attribute >= attributes.size()) continue;
      Json& json = attributes[r.attribute];
      json["quality"] = name_of(r.quality);
      json.erase("value");
      json.erase("detail");
      if (r.quality == Quality::Good) {
        json["value"] = to_json(r.value);
      } else {
        json["detail"] = r.detail;
      }
    }
  }
  Json json{{"state", reading.good ? "good" : "silent"}, {"attributes", std::move(attributes)}};
  if (!reading.good) json["reason"] = printable(reading.reason);
  return json;
}

Result<GuestUnit> reading_from_json(const Json& json) {
  GuestUnit unit{.good = text_in(json, "state") == "good",
                 .reason = text_in(json, "reason"),
                 .attributes = {}};
  for (const Json& a : json.value("attributes", Json::array())) {
    GuestAttribute attribute{.name = text_in(a, "name"), .reading = {}};
    if (!a.contains("quality")) continue;  // nothing came
    attribute.reading.quality = FP_TRY(quality_from(a["quality"]));
    attribute.reading.detail = text_in(a, "detail");
    if (a.contains("value")) attribute.reading.value = FP_TRY(legal_value(a["value"]));
    unit.attributes.push_back(std::move(attribute));
  }
  return unit;
}

}  // namespace fieldpost
