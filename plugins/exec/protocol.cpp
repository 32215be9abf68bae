// SPDX-License-Identifier: Apache-2.0
#include "protocol.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace exec {
namespace {

namespace sdk = fieldpost::sdk;
using Json = nlohmann::json;

// 31 years. What is beyond is no time since a boot, but most likely since 1970.
constexpr double kLongestBoot = 1e9;
constexpr double kWholeNumbers = 9'007'199'254'740'992;  // up to here a double has them all

std::optional<sdk::Value> scalar(const Json& json) {
  if (json.is_number()) return json.get<double>();
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_string()) return json.get<std::string>();
  return {};
}

// A whole number that a double cannot hold; a fraction loses nothing that it ever had.
bool is_too_large(const Json& json) {
  return json.is_number_integer() && std::abs(json.get<double>()) >= kWholeNumbers;
}

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

template <size_t N>
std::optional<size_t> index_in(const std::array<std::string_view, N>& names,
                               const std::string& name) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return {};
  return static_cast<size_t>(found - names.begin());
}

Missing missing_of(const Json& object) {
  constexpr std::array<std::string_view, 4> kNames{"stale", "comm-error", "out-of-range", "stuck"};
  static_assert(FP_STALE == 1 && FP_COMM_ERROR == 2 && FP_OUT_OF_RANGE == 3 && FP_STUCK == 4);
  const auto quality = index_in(kNames, text_at(object, "quality"));
  if (!quality) {
    return {FP_OUT_OF_RANGE,
            "the program printed an object whose quality is none of stale, comm-error, "
            "out-of-range and stuck"};
  }
  std::string detail = text_at(object, "detail");
  if (detail.empty()) detail = "the program says so";
  return {static_cast<uint32_t>(FP_STALE + *quality), std::move(detail)};
}

Outcome outcome_of(const Json& json) {
  if (is_too_large(json)) {
    return Missing{FP_OUT_OF_RANGE, json.dump() + " is too large to be exact"};
  }
  if (auto value = scalar(json)) return *std::move(value);
  if (json.is_null()) return Missing{FP_COMM_ERROR, "the program printed null"};
  if (json.is_object()) return missing_of(json);
  return Missing{FP_OUT_OF_RANGE, "the program printed a list"};
}

Sample sample_of(const Json& object) {
  Sample sample;
  for (const auto& [name, value] : object.items()) {
    sample.readings.emplace_back(name, outcome_of(value));
  }
  return sample;
}

Line full_sample(const Json& object) {
  for (const auto& [key, value] : object.items()) {
    if (key == "readings" || key == "boottime") continue;
    return Nonsense{"beside readings there may be boottime alone, not " + key +
                    (key == "time" ? ": a program's clock may be wrong" : "")};
  }
  const Json& readings = object["readings"];
  if (!readings.is_object()) return Nonsense{"readings is no object"};
  Sample sample = sample_of(readings);
  const auto time = object.find("boottime");
  if (time == object.end()) return sample;
  const double seconds = time->is_number() ? time->get<double>() : -1;
  if (!(seconds > 0 && seconds < kLongestBoot)) {
    return Nonsense{
        "boottime is no number of seconds since the boot, as in /proc/uptime and of "
        "CLOCK_BOOTTIME"};
  }
  sample.boottime_ns = std::max<int64_t>(1, std::llround(seconds * 1e9));
  return sample;
}

Line note_of(const Json& object) {
  constexpr std::array<std::string_view, 5> kLevels{"error", "warning", "notice", "info", "debug"};
  constexpr int kError = 3, kInfo = 6;
  if (!object["log"].is_string()) return Nonsense{"log is no text"};
  const auto level = index_in(kLevels, text_at(object, "level"));
  if (object.contains("level") && !level) {
    return Nonsense{"level is none of error, warning, notice, info and debug"};
  }
  return Note{level ? kError + static_cast<int>(*level) : kInfo, object["log"].get<std::string>()};
}

Line answer_of(const Json& object, const char* key) {
  const Json& id = object[key];
  if (!id.is_number_integer()) return Nonsense{std::string(key) + " is not the id of a command"};
  Answer answer{id.get<int64_t>(), std::string_view(key) == "done", {}, text_at(object, "reason")};
  const auto value = object.find("value");
  if (value != object.end()) answer.value = scalar(*value);
  return answer;
}

const char* word_of(uint32_t type) {
  return type == FP_NUMBER ? "number" : type == FP_BOOLEAN ? "boolean" : "string";
}

uint32_t type_of(const sdk::Value& value) {
  static_assert(FP_NUMBER == 1 && FP_BOOLEAN == 2 && FP_STRING == 3);  // in the order of Value
  return static_cast<uint32_t>(value.index() + 1);
}

sdk::Value nothing(uint32_t type) {
  if (type == FP_BOOLEAN) return false;
  if (type == FP_STRING) return std::string();
  return 0.0;
}

// How many letters have to be put in, left out or replaced.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

Line parse_line(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (json.is_discarded()) {
    const bool nan = line.find("NaN") != line.npos || line.find("Infinity") != line.npos;
    return Nonsense{nan ? "NaN and Infinity are not JSON: print null" : "it is not JSON"};
  }
  if (!json.is_object()) return Nonsense{"it is JSON, but no object"};
  if (json.contains("readings")) return full_sample(json);
  if (json.contains("log")) return note_of(json);
  if (json.contains("done")) return answer_of(json, "done");
  if (json.contains("failed")) return answer_of(json, "failed");
  return sample_of(json);
}

std::string command_line_of(int64_t id, const std::string& command,
                            const std::optional<sdk::Value>& value) {
  nlohmann::ordered_json json{{"command", command}, {"id", id}};
  json["args"] = nlohmann::ordered_json::object();
  if (value) {
    nlohmann::ordered_json& arg = json["args"]["value"];
    std::visit([&](const auto& v) { arg = v; }, *value);
    // A shell compares text: 21, not 21.0.
    const auto* number = std::get_if<double>(&*value);
    if (number != nullptr && std::trunc(*number) == *number && std::abs(*number) < kWholeNumbers) {
      arg = static_cast<int64_t>(*number);
    }
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

sdk::Reading reading_of(const Declared& attribute, Outcome outcome) {
  sdk::Reading reading{attribute.index, nothing(attribute.type), FP_GOOD, {}};
  if (auto* missing = std::get_if<Missing>(&outcome)) {
    reading.quality = missing->quality;
    reading.detail = std::move(missing->detail);
    return reading;
  }
  auto& value = *std::get_if<sdk::Value>(&outcome);
  const uint32_t type = type_of(value);
  if (type == attribute.type) {
    reading.value = std::move(value);
    return reading;
  }
  reading.quality = FP_OUT_OF_RANGE;
  reading.detail = std::string("the program printed a ") + word_of(type) +
                   ", but it is declared as " + word_of(attribute.type);
  return reading;
}

std::string nearest(std::string_view name, const std::vector<Declared>& attributes) {
  std::string best;
  size_t least = std::max<size_t>(1, name.size() / 3) + 1;
  if (name.size() > 64) return best;
  for (const Declared& candidate : attributes) {
    const size_t far = distance(name, candidate.name);
    if (far >= least) continue;
    least = far;
    best = candidate.name;
  }
  return best;
}

}  // namespace exec
