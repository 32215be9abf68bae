// SPDX-License-Identifier: Apache-2.0
#include "csv.hpp"

#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

namespace fieldpost::sim {
namespace {

template <class T>
std::optional<T> whole(std::string_view text) {
  T number{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

// Cuts `n` digits and the separator behind them off `text`; none if they are not there.
std::optional<int> take(std::string_view& text, size_t n, std::string_view separators) {
  if (text.size() < n) return {};
  const auto number = whole<int>(text.substr(0, n));
  text.remove_prefix(n);
  if (!separators.empty()) {
    if (text.empty() || separators.find(text[0]) == std::string_view::npos) return {};
    text.remove_prefix(1);
  }
  return number;
}

// ".250" in milliseconds; none unless digits follow the point.
std::optional<int64_t> take_fraction(std::string_view& text) {
  if (!text.starts_with('.')) return 0;
  const size_t end = std::min(text.find_first_not_of("0123456789", 1), text.size());
  std::string digits(text.substr(1, end - 1));
  if (digits.empty()) return {};
  digits.resize(3, '0');
  text.remove_prefix(end);
  return whole<int64_t>(digits);
}

std::optional<double> number_of(const std::string& text) {
  const auto number = whole<double>(text);
  return number && std::isfinite(*number) ? number : std::nullopt;
}

uint32_t likely_type_of(const std::string& text) {
  if (text == "true" || text == "false") return FP_BOOLEAN;
  return number_of(text) ? FP_NUMBER : FP_STRING;
}

}  // namespace

std::optional<int64_t> parse_time(std::string_view text) {
  if (const auto ms = whole<int64_t>(text)) return ms;
  const auto year = take(text, 4, "-");
  const auto month = take(text, 2, "-");
  const auto day = take(text, 2, "T ");
  const auto hour = take(text, 2, ":");
  const auto minute = take(text, 2, ":");
  const auto second = take(text, 2, "");
  const auto ms = take_fraction(text);
  if (!year || !month || !day || !hour || !minute || !second || !ms) return {};
  if (!text.empty() && text != "Z") return {};
  if (*month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59) return {};
  tm t{};
  t.tm_year = *year - 1900;
  t.tm_mon = *month - 1;
  t.tm_mday = *day;
  t.tm_hour = *hour;
  t.tm_min = *minute;
  t.tm_sec = *second;
  return int64_t{timegm(&t)} * 1000 + *ms;
}

CsvReader::CsvReader(std::string path, std::string device)
    : path_(std::move(path)), device_(std::move(device)), file_(path_) {
  if (!file_) {
    throw sdk::ConfigError(path_ + ": " +
                           std::error_code(errno, std::generic_category()).message());
  }
  rewind();
}

void CsvReader::rewind() {
  file_.clear();
  file_.seekg(0);
  line_ = 0;
  const auto header = record();
  if (!header) fail("is empty");
  const auto column = [&](const char* name) -> std::optional<size_t> {
    const auto it = std::ranges::find(*header, name);
    if (it == header->end()) return {};
    return static_cast<size_t>(it - header->begin());
  };
  const auto needed = [&](const char* name) {
    const auto found = column(name);
    if (!found) fail(std::string("the header has no column '") + name + "'");
    return *found;
  };
  columns_ = header->size();
  time_ = needed("time");
  attribute_ = needed("attribute");
  value_ = needed("value");
  device_column_ = device_.empty() ? column("device") : needed("device");
  name_ = column("name");
  type_ = column("type");
  boot_ms_ = column("boot_ms");
}

std::optional<CsvRow> CsvReader::next() {
  while (auto fields = record()) {
    if (fields->size() == 1 && fields->front().empty()) continue;  // an empty line
    if (fields->size() != columns_) fail("expected " + std::to_string(columns_) + " fields");
    if (!is_wanted(*fields)) continue;
    const auto time = parse_time((*fields)[time_]);
    if (!time) fail("expected a time, got '" + (*fields)[time_] + "'");
    CsvRow row{*time, std::move((*fields)[attribute_]), std::move((*fields)[value_])};
    row.type = type_of(*fields);
    if (row.type == FP_NUMBER && !number_of(row.value)) {
      fail("expected a number, got '" + row.value + "'");
    }
    if (row.type == FP_BOOLEAN && row.value != "true" && row.value != "false") {
      fail("expected true or false, got '" + row.value + "'");
    }
    if (device_column_) row.device = std::move((*fields)[*device_column_]);
    return row;
  }
  return {};
}

bool CsvReader::is_wanted(const std::vector<std::string>& fields) const {
  if (fields[time_].empty() && boot_ms_ && !fields[*boot_ms_].empty()) return false;
  if (fields[attribute_].starts_with("fp_")) return false;
  // A copy of a reading that is there too, for a custom topic.
  if (device_column_ && fields[*device_column_].starts_with("publish:")) return false;
  return device_.empty() || fields[*device_column_] == device_ ||
         (name_ && fields[*name_] == device_);
}

uint32_t CsvReader::type_of(const std::vector<std::string>& fields) const {
  if (!type_) return 0;
  const std::string& type = fields[*type_];
  if (type == "number") return FP_NUMBER;
  if (type == "boolean") return FP_BOOLEAN;
  if (type == "string") return FP_STRING;
  fail("expected number, boolean or string as type, got '" + type + "'");
}

// RFC 4180: fields in quotes may hold commas, line ends and doubled quotes.
std::optional<std::vector<std::string>> CsvReader::record() {
  std::vector<std::string> fields(1);
  bool quoted = false;
  bool any = false;
  for (int c = 0; (c = file_.get()) != std::char_traits<char>::eof();) {
    any = true;
    if (c == '\n') ++line_;
    if (c == '"') {
      if (quoted && file_.peek() == '"') {
        fields.back() += static_cast<char>(file_.get());
      } else {
        quoted = !quoted;
      }
    } else if (quoted || (c != ',' && c != '\n' && c != '\r')) {
      fields.back() += static_cast<char>(c);
    } else if (c == ',') {
      fields.emplace_back();
    } else if (c == '\n') {
      return fields;
    }
    if (fields.back().size() > 65'536) fail("a field is longer than 65,536 bytes");
  }
  if (quoted) fail("a quote is not closed");
  if (!any) return {};
  ++line_;
  return fields;
}

void CsvReader::fail(const std::string& why) const {
  throw sdk::ConfigError(path_ + ":" + std::to_string(line_) + ": " + why);
}

CsvSummary summarise(CsvReader& reader) {
  CsvSummary all;
  std::map<std::string, std::string> devices;  // by attribute
  while (const auto row = reader.next()) {
    if (all.rows++ == 0) all.first_ms = all.last_ms = row->time_ms;
    all.first_ms = std::min(all.first_ms, row->time_ms);
    all.last_ms = std::max(all.last_ms, row->time_ms);
    const uint32_t type = row->type != 0 ? row->type : likely_type_of(row->value);
    const auto [it, fresh] = all.types.try_emplace(row->attribute, type);
    if (!fresh && it->second != type) it->second = FP_STRING;
    if (devices.try_emplace(row->attribute, row->device).first->second != row->device) {
      reader.fail("'" + row->attribute + "' is of more than one device: name one with csv_device");
    }
  }
  reader.rewind();
  return all;
}

sdk::Value to_value(uint32_t type, const std::string& text) {
  if (type == FP_BOOLEAN) return text == "true";
  if (type == FP_NUMBER) return number_of(text).value_or(0);
  return text;
}

}  // namespace fieldpost::sim
