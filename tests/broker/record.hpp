// SPDX-License-Identifier: Apache-2.0
//
// What happened at the broker, one JSON object a line, at once in the file. Each line has
//   at      milliseconds since 1970, wall clock
//   event   connect, refuse, subscribe, publish, deliver, breach or disconnect
//   client  the client id
// and what belongs to the event (plugin.cpp). check_record.py and the fixtures read it.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace fieldpost::losant {

class Record {
 public:
  // Appends; throws std::runtime_error when the file cannot be opened.
  explicit Record(const std::string& file);
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;
  ~Record();

  // Text that is not UTF-8 is made so, and the line then has `"utf8": false`.
  void write(const char* event, const std::string& client, const nlohmann::ordered_json& more = {});

 private:
  int fd_;
};

}  // namespace fieldpost::losant
