// SPDX-License-Identifier: Apache-2.0
#include "host/line_log.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/text.hpp"

namespace fieldpost {

void LineLog::write(int priority, std::string_view text, BootTime now) {
  summarise(now);
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    written_ = 0;
  }
  if (written_ >= kLinesPerSecond) {
    ++dropped_;
    return;
  }
  ++written_;
  put(std::clamp(priority, 3, 7), printable(text, kMaxLine));
}

void LineLog::summarise(BootTime now) {
  if (dropped_ == 0 || now - second_ < std::chrono::seconds(1)) return;
  put(4, std::to_string(std::exchange(dropped_, 0)) + " lines dropped: more than " +
             std::to_string(kLinesPerSecond) + " in a second");
}

void LineLog::put(int priority, const std::string& text) {
  const std::string line = "<" + std::to_string(priority) + ">" + text + "\n";
  // A pipe that is writable takes PIPE_BUF bytes at once, which is more than a line.
  pollfd ready{fd_, POLLOUT, 0};
  if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) {
    ++dropped_;
    return;
  }
  (void)::write(fd_, line.data(), line.size());  // nothing is left to tell it to
}

}  // namespace fieldpost
