// SPDX-License-Identifier: Apache-2.0
#include "store/export_text.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "model/custom_device.hpp"
#include "model/state_meta.hpp"

namespace fieldpost {
namespace {

constexpr std::string_view kCsvEnd = "\r\n";

void put_field(std::string_view text, std::string& out) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

std::string in_json(std::string_view text) { return dump_json(Json(std::string(text))); }

}  // namespace

std::string ExportText::head() const {
  if (format_ == ExportFormat::Jsonl) return {};
  return "time,boot_ms,estimated,device,name,attribute,type,value" + std::string(kCsvEnd);
}

std::string ExportText::name_of_device(std::string_view id) const {
  if (is_custom(id)) return shown_device(id);
  const auto found = names_.find(id);
  return found == names_.end() ? std::string() : found->second;
}

// The same for all points of the state.
std::string ExportText::prefix_of(const WaitingReadings& readings, const State& state) const {
  const std::string& id = *readings.device;
  const std::string name = name_of_device(id);
  const std::string boot_ms = readings.timed ? "" : std::to_string(state.time_ms);
  const std::string time = readings.timed ? format_utc(state.time_ms) : "";
  std::string prefix;
  if (format_ == ExportFormat::Csv) {
    prefix = time + "," + boot_ms + (state.estimated ? ",1," : ",,");
    put_field(id, prefix);
    prefix += ',';
    put_field(name, prefix);
    return prefix;
  }
  prefix = readings.timed ? R"({"time":")" + time + '"' : R"({"boot_ms":)" + boot_ms;
  if (state.estimated) prefix += R"(,"estimated":true)";
  prefix += R"(,"device":)" + in_json(id);
  if (!name.empty()) prefix += R"(,"name":)" + in_json(name);
  return prefix;
}

void ExportText::add(const WaitingReadings& readings, std::string& out) const {
  for (const State& state : readings.states) {
    const std::string prefix = prefix_of(readings, state);
    for (const Point& point : state.points) {
      if (state_meta::is_meta(point.attribute)) continue;
      if (format_ == ExportFormat::Csv) {
        add_csv(prefix, point, out);
      } else {
        add_json(prefix, point, out);
      }
    }
  }
}

void ExportText::add_csv(std::string_view prefix, const Point& point, std::string& out) const {
  out += prefix;
  out += ',';
  put_field(*point.attribute, out);
  out += ',';
  out += fieldpost::name_of(type_of(point.value));
  out += ',';
  if (const auto* text = std::get_if<std::string>(&point.value)) {
    put_field(*text, out);
  } else {
    out += to_text(point.value);
  }
  out += kCsvEnd;
}

void ExportText::add_json(std::string_view prefix, const Point& point, std::string& out) const {
  out += prefix;
  out += R"(,"attribute":)" + in_json(*point.attribute);
  out += R"(,"type":")";
  out += fieldpost::name_of(type_of(point.value));
  out += R"(","value":)";
  const auto* text = std::get_if<std::string>(&point.value);
  out += text != nullptr ? in_json(*text) : to_text(point.value);
  out += "}\n";
}

}  // namespace fieldpost
