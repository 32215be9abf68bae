// SPDX-License-Identifier: Apache-2.0
#include "broker/record.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>

namespace fieldpost::losant {
namespace {

using Json = nlohmann::ordered_json;

std::string line_of(Json& json) {
  try {
    return json.dump() + "\n";
  } catch (const Json::type_error&) {  // not UTF-8
    json["utf8"] = false;
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
}

}  // namespace

Record::Record(const std::string& file)
    : fd_(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (fd_ < 0) throw std::runtime_error("cannot write the record '" + file + "'");
}

Record::~Record() { ::close(fd_); }

void Record::write(const char* event, const std::string& client, const Json& more) {
  using namespace std::chrono;
  const int64_t now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  Json json{{"at", now}, {"event", event}, {"client", client}};
  if (!more.is_null()) json.update(more);
  const std::string line = line_of(json);
  if (::write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    throw std::runtime_error("the record cannot be written");
  }
}

}  // namespace fieldpost::losant
