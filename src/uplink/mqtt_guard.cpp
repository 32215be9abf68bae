// SPDX-License-Identifier: Apache-2.0
#include "uplink/mqtt_guard.hpp"

#include <algorithm>
#include <string>

#include "base/text.hpp"

namespace fieldpost {
namespace {

constexpr unsigned kPublish = 3;
constexpr unsigned kSuback = 9;
// Of a SUBACK: one byte for each topic that we asked for at a time.
constexpr uint32_t kMaxSuback = 1'000;

// Whether a server may begin a packet with this byte (MQTT 3.1.1, tables 2.1 and 2.2).
constexpr bool is_from_server(unsigned header) {
  const unsigned type = header >> 4;
  const unsigned flags = header & 15;
  if (type == kPublish) return (flags & 6) != 6;  // there is no QoS 3
  if (type == 6) return flags == 2;               // PUBREL
  // CONNACK, PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK, PINGRESP.
  const bool known = type == 2 || type == 4 || type == 5 || type == 7 || type == kSuback ||
                     type == 11 || type == 13;
  return known && flags == 0;
}

constexpr bool is_length_of(unsigned type, uint32_t length) {
  switch (type) {
    case kPublish:
      return true;
    case kSuback:
      return length <= kMaxSuback;
    case 13:
      return length == 0;
    default:
      return length == 2;
  }
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
  if (!is_from_server(byte)) {
    return Error{Errc::Invalid,
                 "the broker sent what is not MQTT (a packet that begins with byte " +
                     std::to_string(byte) + ")"};
  }
  type_ = byte >> 4;
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
  if (remaining_ > kMaxPacket || !is_length_of(type_, remaining_)) {
    return Error{Errc::Invalid,
                 "the broker announced a packet of " + format_size(remaining_) +
                     (type_ == kPublish ? "; at most " + format_size(kMaxPacket) + " are taken"
                                        : " that has another length in MQTT")};
  }
  expect_ = remaining_ == 0 ? Expect::Type : Expect::Body;
  return {};
}

}  // namespace fieldpost
