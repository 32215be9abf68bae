// SPDX-License-Identifier: Apache-2.0
//
// What a command's payload says of itself:
//
//   {"name": text of 1 to 255 bytes, "payload": any JSON or absent, "time": when it was sent}
//
// `time` is in milliseconds since 1970, or ISO 8601 text, or {"$date": either}; "$time" is taken
// for it as well.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "model/command.hpp"

namespace fieldpost {

struct Envelope {
  Json json;
  Json id;                         // that the sender gave it, a number or text; null: none
  std::string name;                // empty if the payload could not be read
  std::optional<int64_t> sent_ms;  // UTC

  const Json* payload() const {
    const auto found = json.find("payload");
    return found == json.end() ? nullptr : &*found;
  }
};

// Bytes of a payload. Losant carries no more, and the main thread must not parse a megabyte for
// each of a thousand hostile ones.
inline constexpr size_t kMaxCommandPayload = size_t{256} << 10;

// `id_pointer` says where in "payload" the sender's id is: a JSON pointer (RFC 6901). Fills in what
// the payload says of itself also when it turns out to be unusable, so that the answer can name it.
// Errors: Invalid.
Result<> read_envelope(const std::string& payload, const std::string& id_pointer, Envelope& ret);

// By what a command is known when it comes again: name and the sender's id, or else topic, time and
// content.
// Empty: it says neither, and each one that looks like it is one of its own.
std::string identity(const IncomingCommand& command, const Envelope& envelope);

// What a JSON pointer leads to; nullptr: nothing is there.
const Json* find_at(const Json& json, const std::string& pointer);

// nullopt: it is no time.
std::optional<int64_t> sent_time(const Json& json);

}  // namespace fieldpost
