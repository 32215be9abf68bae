// SPDX-License-Identifier: Apache-2.0
//
// A TCP server that speaks just enough MQTT to misbehave. One connection at a time, on a thread of
// its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"
#include "fakes/subscriber.hpp"

namespace fieldpost::test {

class MqttServer {
 public:
  enum class Puback : uint8_t { Now, Never, Reversed };
  struct Behaviour {
    std::optional<uint8_t> connack = 0;  // none: no answer to CONNECT
    bool close_after_connack = false;
    std::string after_connack = {};    // sent as it is
    std::optional<uint8_t> grant = 1;  // for each subscription at QoS 1; none: no answer
    Puback puback = Puback::Now;
    size_t reverse = 5;             // Reversed: so many at a time
    bool reset_on_publish = false;  // RST
    std::string forbidden = {};     // topic: closes in order, after what it holds back
  };

  explicit MqttServer(Behaviour behaviour);
  MqttServer(const MqttServer&) = delete;
  MqttServer& operator=(const MqttServer&) = delete;
  ~MqttServer();

  uint16_t port() const { return port_; }
  void set(Behaviour behaviour);  // for the next connection, and for what comes on this one
  int connections() const { return connections_; }
  int closed() const { return closed_; }  // connections that have ended
  std::vector<Message> published() const;
  std::vector<int> subscribe_qos() const;  // requested, in order

 private:
  void run();
  void serve(int fd);
  bool on_packet(int fd, uint8_t header, const std::string& body);
  void release_held(int fd);
  bool on_publish(int fd, uint8_t header, const std::string& body);
  void on_subscribe(int fd, const std::string& body);
  Behaviour behaviour() const;

  UniqueFd listener_, stop_;
  uint16_t port_ = 0;
  std::atomic<int> connections_ = 0, closed_ = 0;
  mutable std::mutex mutex_;
  Behaviour behaviour_;  // guarded by mutex_, as the rest
  std::vector<Message> published_;
  std::vector<int> subscribe_qos_;
  std::vector<std::string> held_;  // PUBACKs; the thread's own
  std::thread thread_;
};

}  // namespace fieldpost::test
