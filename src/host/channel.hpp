// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "host/heartbeat.hpp"
#include "model/message.hpp"

namespace fieldpost {

// The host's end of the connection to its supervisor. Sending waits while the supervisor does not
// read: what a host has to say is never piled up in its memory.
class Channel {
 public:
  // `fd` is borrowed. `heart` beats while send() waits.
  explicit Channel(int fd, Heartbeat heart = {}) : fd_(fd), heart_(std::move(heart)) {}

  // Errors: Unavailable (the supervisor is gone, or the host is to stop and it did not read within
  // a part of the grace), Full (longer than a message may be; nothing was sent), Io.
  Result<> send(const message::Any& message);

  // One frame, without waiting. Nothing: there is none, or more frames must follow. Errors:
  // Unavailable (end of file), Invalid (the supervisor speaks another protocol), Io.
  Result<std::optional<message::Any>> receive();
  // Waits for a whole message. Errors: Unavailable (end of file, or the host is to stop) and as
  // receive().
  Result<message::Any> wait_for_message();

  int fd() const { return fd_; }
  Heartbeat& heart() { return heart_; }

 private:
  Result<> wait_until_writable();
  int fd_;
  Heartbeat heart_;
  uint64_t sequence_ = 0;
  std::vector<std::vector<std::byte>> frames_;
  std::vector<std::byte> buffer_;
  message::Decoder decoder_;
};

}  // namespace fieldpost
