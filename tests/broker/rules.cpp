// SPDX-License-Identifier: Apache-2.0
#include "broker/rules.hpp"

#include <algorithm>

namespace fieldpost::losant {
namespace {

constexpr const char* kReserved = "losant";

std::string first_level(std::string_view topic) {
  return std::string(topic.substr(0, topic.find('/')));
}

}  // namespace

bool Window::take(int64_t now, int64_t span, size_t limit) {
  while (!times_.empty() && times_.front() <= now - span) times_.pop_front();
  if (times_.size() >= limit) return false;
  times_.push_back(now);
  return true;
}

bool lies_within(const std::string& topic, const std::string& pattern) {
  size_t t = 0;
  size_t p = 0;
  for (;;) {
    const std::string want = pattern.substr(p, pattern.find('/', p) - p);
    const std::string have = topic.substr(t, topic.find('/', t) - t);
    if (want == "#") return true;
    if (have == "#" || (want != "+" && want != have)) return false;
    p += want.size() + 1;
    t += have.size() + 1;
    const bool pattern_ends = p > pattern.size();
    const bool topic_ends = t > topic.size();
    if (topic_ends) return pattern_ends || pattern.substr(p) == "#";
    if (pattern_ends) return false;
  }
}

Verdict Rules::connect(int64_t now, const Login& login) {
  if (login.user == settings_.platform_user && login.password == settings_.platform_password) {
    return std::nullopt;
  }
  const auto key = settings_.keys.find(login.user);
  if (key == settings_.keys.end() || key->second != login.password) {
    return Breach{"credentials", "no such access key, or not its secret"};
  }
  const auto device = settings_.devices.find(login.client);
  if (device == settings_.devices.end() || !device->second.gateway.empty()) {
    return Breach{"client-id", "'" + login.client + "' is not a device that connects itself"};
  }
  if (login.mqtt_version != 4) return Breach{"version", "only MQTT 3.1.1 is spoken here"};
  const int64_t left = devices_[login.client].refused_until - now;
  if (left > 0) return Breach{"refused", "it broke a limit", left};
  if (!settings_.unlimited && !connects_.take(now, scaled(kWindowMs), kApplicationConnects)) {
    return Breach{"application-rate", "more than " + std::to_string(kApplicationConnects) +
                                          " new connections of one application in 15 s"};
  }
  return std::nullopt;
}

// Its own topics are `losant/ID/WHAT`, of the device itself and of those behind it.
bool Rules::may_use(const std::string& client, const std::string& topic, const char* what) const {
  if (first_level(topic) != kReserved) {
    return topic.front() != '$' && std::ranges::any_of(settings_.topics, [&](const auto& pattern) {
             return lies_within(topic, pattern);
           });
  }
  return std::ranges::any_of(settings_.devices, [&](const auto& entry) {
    const auto& [id, device] = entry;
    return (id == client || device.gateway == client) && topic == "losant/" + id + "/" + what;
  });
}

Verdict Rules::publish(int64_t now, const std::string& client, const Publish& message) {
  if (message.qos > 1) return Breach{"qos", "QoS 2 is not supported"};
  if (message.retain) return Breach{"retain", "retained messages are not supported"};
  if (message.bytes > kLargestPayload) {
    return Breach{"size", std::to_string(message.bytes) + " bytes, more than 256 KB"};
  }
  if (!may_use(client, message.topic, "state")) {
    return Breach{"topic", "the key may not publish to '" + message.topic + "'"};
  }
  return count(now, client, '<', message.topic);
}

Verdict Rules::deliver(int64_t now, const std::string& client, const std::string& topic) {
  return count(now, client, '>', topic);
}

Grant Rules::subscribe(const std::string& client, const std::string& topic, int qos,
                       Breach& why) const {
  if (qos > 1) {
    why = {"qos", "QoS 2 is not supported"};
    return Grant::Close;
  }
  if (may_use(client, topic, "command")) return Grant::Yes;
  why = {"subscription", "the key may not subscribe to '" + topic + "'"};
  return Grant::Refused;
}

Verdict Rules::count(int64_t now, const std::string& client, char direction,
                     const std::string& topic) {
  if (settings_.unlimited) return std::nullopt;
  Device& device = devices_[client];
  // One that is turned away gets nothing while its connection is being closed.
  if (device.refused_until > now) {
    return Breach{"refused", "it broke a limit", device.refused_until - now};
  }
  const int64_t span = scaled(kWindowMs);
  if (!device.topics[direction + topic].take(now, span, kTopicMessages)) {
    return refuse(now, device,
                  {"topic-rate", "more than " + std::to_string(kTopicMessages) +
                                     " messages in 15 s on '" + topic + "'"});
  }
  if (!device.messages.take(now, span, kConnectionMessages)) {
    return refuse(now, device,
                  {"connection-rate", "more than " + std::to_string(kConnectionMessages) +
                                          " messages in 15 s on one connection"});
  }
  return std::nullopt;
}

Breach Rules::refuse(int64_t now, Device& device, Breach breach) const {
  const bool again =
      device.last_refusal > 0 && now - device.refused_until <= scaled(kLongestRefusalMs);
  device.last_refusal =
      again ? std::min(2 * device.last_refusal, kLongestRefusalMs) : kFirstRefusalMs;
  breach.refused_ms = scaled(device.last_refusal);
  device.refused_until = now + breach.refused_ms;
  return breach;
}

}  // namespace fieldpost::losant
