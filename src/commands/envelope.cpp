// SPDX-License-Identifier: Apache-2.0
#include "commands/envelope.hpp"

#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid_io.hpp>

#include <cmath>
#include <ctime>
#include <string_view>

#include "base/text.hpp"
#include "model/names.hpp"

namespace fieldpost {
namespace {

constexpr size_t kMaxId = 256;  // bytes of an id as JSON: it goes into the log and the answer
constexpr double kLatestMs = 253'402'300'800'000;  // the year 10000

Result<Json> id_in(const Json& payload, const std::string& pointer) {
  if (!payload.is_object()) return Json();
  const Json* const id = find_at(payload, pointer);
  // An empty one is a template that was not filled in.
  if (id == nullptr || !(id->is_string() || id->is_number()) || *id == Json("")) return Json();
  if (dump_json(*id).size() > kMaxId) {
    return Error{Errc::Invalid,
                 "the payload's \"id\" is longer than " + std::to_string(kMaxId) + " bytes"};
  }
  return *id;
}

std::optional<int64_t> whole_ms(double ms) {
  if (!(ms >= 0 && ms < kLatestMs)) return std::nullopt;
  return std::llround(ms);
}

std::optional<int> two_digits(std::string_view text, size_t at) {
  const auto digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  if (!digit(at) || !digit(at + 1)) return std::nullopt;
  return 10 * (text[at] - '0') + (text[at + 1] - '0');
}

// The part after the seconds: a fraction, then Z or an offset from UTC. In ms to be added.
std::optional<double> fraction_and_zone(std::string_view text) {
  double ms = 0;
  if (!text.empty() && (text.front() == '.' || text.front() == ',')) {
    const size_t end = std::min(text.find_first_not_of("0123456789", 1), text.size());
    if (end < 2 || end > 10) return std::nullopt;
    double unit = 100;
    for (const char c : text.substr(1, end - 1)) ms += (c - '0') * unit, unit /= 10;
    text.remove_prefix(end);
  }
  if (text == "Z" || text == "z") return ms;
  const size_t colon = text.size() == 6 && text[3] == ':' ? 1 : 0;
  if (text.size() != 5 + colon || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  const auto hours = two_digits(text, 1), minutes = two_digits(text, 3 + colon);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return ms - (text[0] == '-' ? -1 : 1) * (*hours * 60 + *minutes) * 60'000.0;
}

// "2026-11-28T08:40:26.125Z". Local time, which has no zone, is none: nobody knows whose.
std::optional<int64_t> iso_ms(const std::string& text) {
  std::tm tm{};
  const char* const rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &tm);
  if (rest == nullptr || tm.tm_sec > 59) return std::nullopt;
  const auto more = fraction_and_zone(text.substr(static_cast<size_t>(rest - text.c_str())));
  if (!more) return std::nullopt;
  const int day = tm.tm_mday;
  const time_t seconds = ::timegm(&tm);
  if (tm.tm_mday != day) return std::nullopt;  // the 31st of February
  return whole_ms(static_cast<double>(seconds) * 1000 + *more);
}

}  // namespace

const Json* find_at(const Json& json, const std::string& pointer) {
  try {
    return &json.at(Json::json_pointer(pointer));
  } catch (const Json::exception&) {  // also where an index is none
    return nullptr;
  }
}

std::optional<int64_t> sent_time(const Json& json) {
  if (json.is_number()) return whole_ms(json.get<double>());
  if (json.is_string()) return iso_ms(json.get_ref<const std::string&>());
  if (!json.is_object() || json.size() != 1) return std::nullopt;
  const std::string& key = json.begin().key();
  const Json& value = json.begin().value();
  if (key == "$date")
    return value.is_object() && value.contains("$date") ? std::nullopt : sent_time(value);
  if (key != "$numberLong" || !value.is_string()) return std::nullopt;
  const auto number = parse_json(value.get_ref<const std::string&>());
  return number && number->is_number() ? whole_ms(number->get<double>()) : std::nullopt;
}

Result<> read_envelope(const std::string& payload, const std::string& id_pointer, Envelope& ret) {
  if (payload.size() > kMaxCommandPayload) {
    return Error{Errc::Invalid, "the payload has " + std::to_string(payload.size()) +
                                    " bytes; at most " + std::to_string(kMaxCommandPayload) +
                                    " are taken"};
  }
  ret.json = FP_TRY(parse_json(payload).context("the payload"));
  if (!ret.json.is_object()) return Error{Errc::Invalid, "the payload is not a JSON object"};
  if (ret.payload() != nullptr) ret.id = FP_TRY(id_in(*ret.payload(), id_pointer));
  const auto name = ret.json.find("name");
  if (name == ret.json.end() || !name->is_string()) {
    return Error{Errc::Invalid, "the payload has no \"name\""};
  }
  if (!is_command_name(name->get_ref<const std::string&>())) {
    return Error{Errc::Invalid, "\"name\" is not 1 to 255 bytes of text"};
  }
  ret.name = name->get<std::string>();
  for (const char* key : {"time", "$time"}) {
    const auto time = ret.json.find(key);
    if (time == ret.json.end() || time->is_null()) continue;
    ret.sent_ms = sent_time(*time);
    if (ret.sent_ms) break;
    return Error{Errc::Invalid, "\"" + std::string(key) +
                                    "\": expected milliseconds since 1970, or a date such as "
                                    "\"2026-11-28T08:40:26.125Z\", got " +
                                    printable(dump_json(*time), 80)};
  }
  return {};
}

std::string identity(const IncomingCommand& command, const Envelope& envelope) {
  if (envelope.id.is_null() && !envelope.sent_ms) return "";
  const Json whole = envelope.id.is_null() ? Json{command.topic, command.device_id, command.payload}
                                           : Json{command.device_id, envelope.name, envelope.id};
  // A name for it that is as long for each: UUID version 5 (RFC 9562, 5.5).
  boost::uuids::name_generator_sha1 generator(boost::uuids::ns::oid());
  return boost::uuids::to_string(generator(dump_json(whole)));
}

}  // namespace fieldpost
