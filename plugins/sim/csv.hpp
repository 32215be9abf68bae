// SPDX-License-Identifier: Apache-2.0
//
// Recorded readings, as `fieldpost outbox export` writes them: a header that names at least the
// columns time, attribute and value, then a row for each reading, oldest first. `type` (number,
// boolean, string) is obeyed where there is such a column; `device` and `name` say whose reading it
// is. A row without a time that has a boot_ms is of a boot whose time nobody knew: left out, and so
// is what the agent said of itself and its devices (attributes fp_…), which it says here too. Times
// are ISO 8601 ("2026-05-04T10:00:00.250Z") or milliseconds since 1970. Read row by row, so that a
// recording may be longer than memory.
#pragma once

#include <fieldpost/plugin.hpp>

#include <cstdint>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fieldpost::sim {

struct CsvRow {
  int64_t time_ms = 0;
  std::string attribute;
  std::string value;
  uint32_t type = 0;   // FP_NUMBER …; 0: the recording does not say
  std::string device;  // empty: the recording does not say
};

// Milliseconds since 1970; none if it is neither form.
std::optional<int64_t> parse_time(std::string_view text);

class CsvReader {
 public:
  // `device`: only rows whose column `device` or `name` says so; empty: all. Throws ConfigError
  // with path and line when the file cannot be read or is no such file; so does next().
  CsvReader(std::string path, std::string device);
  std::optional<CsvRow> next();  // none at the end
  void rewind();
  // Throws ConfigError with path, the line that was read last, and `why`.
  [[noreturn]] void fail(const std::string& why) const;

 private:
  std::optional<std::vector<std::string>> record();
  bool is_wanted(const std::vector<std::string>& fields) const;
  uint32_t type_of(const std::vector<std::string>& fields) const;
  std::string path_, device_;
  std::ifstream file_;
  int line_ = 0;
  size_t columns_ = 0, time_ = 0, attribute_ = 0, value_ = 0;
  std::optional<size_t> device_column_, name_, type_, boot_ms_;
};

// What a recording has: each attribute's type, the widest that all of its values fit.
struct CsvSummary {
  std::map<std::string, uint32_t> types;  // FP_NUMBER …
  int64_t first_ms = 0, last_ms = 0;
  size_t rows = 0;
};
// Throws ConfigError when an attribute is of several devices: those would run into each other.
CsvSummary summarise(CsvReader& reader);

// The value as its attribute's type.
sdk::Value to_value(uint32_t type, const std::string& text);

}  // namespace fieldpost::sim
