// SPDX-License-Identifier: Apache-2.0
//
// The CLI's end of a control socket (supervisor/control.hpp).
#pragma once

#include <chrono>
#include <string>

#include "base/json.hpp"
#include "base/unique_fd.hpp"
#include "cli/paths.hpp"

namespace fieldpost {

class ControlClient {
 public:
  // Connects to the socket that grants the least right: `act` false, status.sock. Errors: NotFound
  // (no agent runs here), Unavailable (no permission; the message names the adduser line), Io.
  static Result<ControlClient> connect(const Paths& paths, bool act);

  // Sends a request and waits for its answer, at most `limit`. Errors: Timeout, Unavailable (the
  // agent went away), Invalid (the agent's own words, when "ok" is false), NotFound (the
  // same, of one that has no configuration to run on).
  // The descriptor `pass`, unless it is -1, goes along with the request: the agent gets a copy of
  // it.
  Result<Json> ask(const Json& request, std::chrono::milliseconds limit = std::chrono::seconds(10),
                   int pass = -1);

  // The next line, for `watch`; waits without a limit when `limit` is negative.
  Result<std::string> next_line(std::chrono::milliseconds limit);

 private:
  explicit ControlClient(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  std::string in_;
};

}  // namespace fieldpost
