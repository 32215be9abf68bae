// SPDX-License-Identifier: Apache-2.0
#include "uplink/mqtt_guard.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace fieldpost {
namespace {

Result<> feed(MqttGuard& guard, std::string_view bytes) {
  return guard.feed(std::as_bytes(std::span(bytes)));
}

std::string packet(char header, size_t length) {
  std::string bytes(1, header);
  size_t rest = length;
  do {
    bytes += static_cast<char>((rest & 0x7F) | (rest > 0x7F ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return bytes + std::string(length, 'x');
}

TEST(MqttGuard, LetsPacketsPassHoweverTheyAreCut) {
  std::string stream;
  for (const size_t length : {0, 1, 2, 127, 128, 300, 16'383, 16'384, 1'000'000}) {
    stream += packet('\x30', length) + packet('\x40', 2) + packet('\x90', 3) + packet('\xD0', 0);
  }
  std::mt19937 random(1);
  for (const size_t most : {1, 3, 1'000, 70'000}) {
    MqttGuard guard;
    std::string_view rest = stream;
    while (!rest.empty()) {
      const size_t n = std::min<size_t>(rest.size(), 1 + random() % most);
      ASSERT_TRUE(feed(guard, rest.substr(0, n)));
      rest.remove_prefix(n);
    }
  }
}

TEST(MqttGuard, TakesAMegabyteAndItsTopicButNotMore) {
  MqttGuard guard;
  EXPECT_TRUE(feed(guard, packet('\x32', MqttGuard::kMaxPacket)));
  const auto refused = feed(guard, packet('\x32', MqttGuard::kMaxPacket + 1).substr(0, 4));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("announced a packet of 1.1 MB"), std::string::npos)
      << refused.error().message;
}

TEST(MqttGuard, RefusesWhatIsAnnouncedBeforeItComes) {
  MqttGuard guard;
  EXPECT_FALSE(feed(guard, "\x30\xff\xff\xff\x7f"));  // 256 MB
  MqttGuard other;
  EXPECT_FALSE(feed(other, "\x90\xff\xff\x7f"));  // a SUBACK of 2 MB
}

TEST(MqttGuard, RefusesALengthOfFiveBytes) {
  MqttGuard guard;
  ASSERT_TRUE(feed(guard, "\x30\x80\x80\x80"));
  const auto refused = feed(guard, "\x80");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("malformed"), std::string::npos);
}

TEST(MqttGuard, RefusesWhatNoServerSends) {
  for (const char* text :
       {"HTTP/1.1 400 Bad Request\r\n", "SSH-2.0-OpenSSH", "\x10", "\xF0", "\x36", "\x40\x03"}) {
    MqttGuard guard;
    EXPECT_FALSE(feed(guard, text)) << text;
  }
}

}  // namespace
}  // namespace fieldpost
