// SPDX-License-Identifier: Apache-2.0
//
// A WebSocket server that says what it is told to, for what a good broker never does: one
// connection at a time, on a thread of its own.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

namespace fieldpost::test {

class WebSocketServer {
 public:
  // Opcodes of RFC 6455, 5.2.
  static constexpr uint8_t kMore = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10;
  struct Frame {
    uint8_t opcode = kBinary;
    std::string payload;
    bool last = true;  // of its message
  };
  struct Behaviour {
    std::string answer = {};         // to the request, instead of a handshake
    std::string protocol = "mqtt";   // empty: none
    std::vector<Frame> frames = {};  // sent after the client's first
  };

  explicit WebSocketServer(Behaviour behaviour);
  WebSocketServer(const WebSocketServer&) = delete;
  WebSocketServer& operator=(const WebSocketServer&) = delete;
  ~WebSocketServer();

  uint16_t port() const { return port_; }
  void set(Behaviour behaviour);              // for the next connection
  std::vector<std::string> requests() const;  // as they came
  std::vector<Frame> received() const;        // unmasked
  bool all_masked() const;                    // as RFC 6455 demands of clients

 private:
  void run();
  void serve(int fd);
  bool greet(int fd, std::string& ret_rest);
  bool take_frames(std::string& input);

  UniqueFd listener_, stop_;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  Behaviour behaviour_;  // guarded by mutex_, as the rest
  std::vector<std::string> requests_;
  std::vector<Frame> received_;
  bool all_masked_ = true;
  std::thread thread_;
};

}  // namespace fieldpost::test
