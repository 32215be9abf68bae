// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "model/message.hpp"

namespace fieldpost {

// A host that is started for one question, and asked by somebody who waits for the answer: the
// command line, and whoever loads a configuration. It is not left behind: its process, and what
// that has started, is gone when this is.
class ThrowawayHost {
 public:
  // `verb`, `file` and `user` as for start_host(). Errors: Io.
  static Result<ThrowawayHost> start(const std::string& plugin_host, const std::string& verb,
                                     const std::string& file, const std::string& user = "");
  ThrowawayHost(ThrowawayHost&& other) noexcept;
  ThrowawayHost& operator=(ThrowawayHost&&) = delete;
  ~ThrowawayHost();

  // A host that has ended takes anything; its end tells why. Errors: Timeout, Full (too long), Io.
  Result<> send(const message::Any& message, BootTime deadline);
  // The next message; nothing at the end of file. Errors: Timeout, Invalid (no message of ours),
  // Io.
  Result<std::optional<message::Any>> next(BootTime deadline);
  // Tells it to end, by an end of file.
  void hang_up() { socket_ = UniqueFd(); }
  // Waits for its end, and tells how it came ("exit status 0"); nothing if it did not come in time.
  std::optional<std::string> wait(BootTime deadline);

 private:
  ThrowawayHost(pid_t pid, UniqueFd socket);
  std::string reap();

  pid_t pid_;  // -1: it has been reaped
  UniqueFd ended_, socket_;
  uint64_t sequence_ = 0;
  message::Decoder decoder_;
  std::vector<std::byte> buffer_;
};

}  // namespace fieldpost
