// SPDX-License-Identifier: Apache-2.0
//
// What a platform would see: a client of its own that records everything and publishes commands.
// Reconnects by itself, with a persistent session where asked.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace fieldpost::test {

// As whom it connects, for a broker that asks (fakes/losant_broker.hpp).
inline const std::string kPlatformUser = "platform";
inline const std::string kPlatformPassword = "platform-word";

struct Message {
  std::string topic, payload;
};

class Subscriber {
 public:
  // Returns when the subscription stands; throws if it does not.
  Subscriber(uint16_t port, const std::string& topic, const std::string& ca_file = {});
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;
  ~Subscriber();

  std::vector<Message> messages() const;  // so far
  size_t count() const;
  // Waits until it has subscribed again after the broker was away.
  bool wait_subscribed() const;
  void publish(const std::string& topic, const std::string& payload, bool retain = false);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fieldpost::test
