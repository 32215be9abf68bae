// SPDX-License-Identifier: Apache-2.0
//
// Losant's rules for an MQTT connection, without a broker: who may do what, how often, and for how
// long one who does more is turned away. Every call gets the time, so tests need no clock.
//
// Source of the rules and their numbers: Losant's documentation of its MQTT broker and of device
// state. What it leaves open is decided to the client's disadvantage:
//  - a reconnect does not reset what counts for the connection: windows belong to the device;
//  - a refusal doubles when the next breach comes within an hour after the last refusal ended.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "broker/settings.hpp"

namespace fieldpost::losant {

inline constexpr size_t kTopicMessages = 30;         // in a window: one topic, one direction
inline constexpr size_t kConnectionMessages = 300;   // in a window: both directions together
inline constexpr size_t kApplicationConnects = 300;  // in a window: new connections
inline constexpr int64_t kWindowMs = 15'000;
inline constexpr int64_t kFirstRefusalMs = 30'000;
inline constexpr int64_t kLongestRefusalMs = 3'600'000;
inline constexpr size_t kLargestPayload = 262'144;  // bytes

// A rule that was broken.
struct Breach {
  std::string kind;   // one word, for programs; the list is in docs/develop-against-a-broker.md
  std::string words;  // for people
  int64_t refused_ms = 0;  // the device is turned away for so long from now on
};
using Verdict = std::optional<Breach>;  // nothing: all is well

// At most `limit` events in any `span`: a log of their times.
class Window {
 public:
  // Notes an event at `now`, unless it would be one too many.
  bool take(int64_t now, int64_t span, size_t limit);

 private:
  std::deque<int64_t> times_;
};

struct Login {
  std::string client, user, password;
  int mqtt_version = 4;  // 4 is MQTT 3.1.1
};

struct Publish {
  std::string topic;
  int qos = 0;
  bool retain = false;
  size_t bytes = 0;
};

enum class Grant : uint8_t { Yes, Refused, Close };  // Refused: 0x80 in the SUBACK

// `now` is in milliseconds of a clock that never goes back.
class Rules {
 public:
  explicit Rules(Settings settings) : settings_(std::move(settings)) {}

  bool is_platform(const std::string& user) const { return user == settings_.platform_user; }

  // A breach turns the client away with CONNACK 5.
  Verdict connect(int64_t now, const Login& login);
  // A breach closes the connection.
  Verdict publish(int64_t now, const std::string& client, const Publish& message);
  Verdict deliver(int64_t now, const std::string& client, const std::string& topic);
  // For a subscription that is not granted, `why` gets the reason.
  Grant subscribe(const std::string& client, const std::string& topic, int qos, Breach& why) const;

 private:
  struct Device {
    Window messages;
    std::map<std::string, Window> topics;  // "> topic" to the device, "< topic" from it
    int64_t refused_until = 0;
    int64_t last_refusal = 0;  // how long it was, unscaled
  };

  bool may_use(const std::string& client, const std::string& topic, const char* what) const;
  Verdict count(int64_t now, const std::string& client, char direction, const std::string& topic);
  Breach refuse(int64_t now, Device& device, Breach breach) const;
  int64_t scaled(int64_t ms) const {
    return static_cast<int64_t>(static_cast<double>(ms) * settings_.time_scale);
  }

  Settings settings_;
  Window connects_;
  std::map<std::string, Device> devices_;
};

// Whether a topic, or a filter, lies within the filter `pattern`.
bool lies_within(const std::string& topic, const std::string& pattern);

}  // namespace fieldpost::losant
