// SPDX-License-Identifier: Apache-2.0
#include "uplink/mqtt_guard.hpp"

#include <algorithm>
#include <string>

#include "base/text.hpp"

namespace fieldpost {
namespace {

constexpr uint8_t kPublish = 3;

// What a server may send (MQTT 3.1.1, table 2.1): CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL,
// PUBCOMP, SUBACK, UNSUBACK, PINGRESP.
constexpr bool is_from_server(unsigned type) {
  return type == 2 || (type >= 3 && type <= 7) || type == 9 || type == 11 || type == 13;
}

}  // namespace

Result<> MqttGuard::feed(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (expect_ == Expect::Body) {
      const size_t part = std::min<size_t>(remaining_, bytes.size());
      remaining_ -= static_cast<uint32_t>(part);
      bytes = bytes.subspan(part);
      if (remaining_ == 0) expect_ = Expect::Type;
      continue;
    }
    const auto byte = std::to_integer<uint8_t>(bytes.front());
    bytes = bytes.subspan(1);
    FP_CHECK_OK(expect_ == Expect::Type ? feed_type(byte) : feed_length(byte));
  }
  return {};
}

Result<> MqttGuard::feed_type(uint8_t byte) {
  type_ = byte >> 4;
  if (!is_from_server(type_)) {
    return Error{Errc::Invalid,
                 "the broker sent what is not MQTT (packet type " + std::to_string(type_) + ")"};
  }
  length_bytes_ = 0;
  remaining_ = 0;
  expect_ = Expect::Length;
  return {};
}

Result<> MqttGuard::feed_length(uint8_t byte) {
  remaining_ |= static_cast<uint32_t>(byte & 0x7F) << (7 * length_bytes_);
  ++length_bytes_;
  if ((byte & 0x80) != 0) {
    if (length_bytes_ < 4) return {};
    return Error{Errc::Invalid, "the broker sent a packet whose length is malformed"};
  }
  // Only a message is ever long; anything else that says so is not MQTT.
  const uint32_t limit = type_ == kPublish ? kMaxPacket : 65'536;
  if (remaining_ > limit) {
    return Error{Errc::Invalid, "the broker announced a packet of " + format_size(remaining_) +
                                    ", more than the " + format_size(limit) + " that are taken"};
  }
  expect_ = remaining_ == 0 ? Expect::Type : Expect::Body;
  return {};
}

}  // namespace fieldpost
