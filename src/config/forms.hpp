// SPDX-License-Identifier: Apache-2.0
//
// Forms of single texts that the core's options take. Each check returns what is wrong, if
// anything, as it follows "key: ".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/tables.hpp"

namespace fieldpost::forms {

inline constexpr const char* kPath = "a path that starts with /";
inline constexpr const char* kSocketPath = "a path of at most 107 bytes that starts with /";
inline constexpr const char* kFlowVersion = "1 to 255 characters";
inline constexpr const char* kDeviceId = "a Losant id (24 hex digits, lower case)";
inline constexpr const char* kUrl =
    "mqtt://HOST[:PORT], mqtts://HOST[:PORT], ws://HOST[:PORT][/PATH] or wss://HOST[:PORT][/PATH]";
inline constexpr const char* kProxy = "http://HOST:PORT";
inline constexpr const char* kTopic = "a topic, in which ${device_id} is filled in";
inline constexpr const char* kJsonPointer = "a JSON pointer such as \"/id\"";
inline constexpr const char* kScale = "a number other than 0";
inline constexpr const char* kInterval = "a duration from 10ms to 24h, or \"0s\"";

std::optional<Finding> config_version(const Value& value);
std::optional<Finding> local_name(const Value& value);
std::optional<Finding> attribute_name(const Value& value);
std::optional<Finding> device_id(const Value& value);
std::optional<Finding> path(const Value& value);
std::optional<Finding> socket_path(const Value& value);  // as long as sun_path of unix(7) takes
std::optional<Finding> broker_url(const Value& value);
std::optional<Finding> flow_version(const Value& value);
std::optional<Finding> proxy_url(const Value& value);
std::optional<Finding> topic(const Value& value);
std::optional<Finding> interval(const Value& value);
std::optional<Finding> json_pointer(const Value& value);  // not to the whole
std::optional<Finding> scale(const Value& value);

bool is_json_pointer(std::string_view text);  // RFC 6901; "" is one, to the whole

struct BrokerUrl {
  bool tls = false;
  std::string host;  // without brackets
  uint16_t port = 0;
  std::string web_socket_path;  // begins with '/'; empty: no WebSocket
};
// Errors: Invalid, "expected …, got …". Never repeats a password that someone put into it.
Result<BrokerUrl> parse_broker_url(std::string_view url);
struct ProxyUrl {
  std::string host;  // without brackets
  uint16_t port = 0;
};
Result<ProxyUrl> parse_proxy_url(std::string_view url);  // as parse_broker_url()

}  // namespace fieldpost::forms
