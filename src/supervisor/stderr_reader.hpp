// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "supervisor/rate.hpp"

namespace fieldpost {

// What a host writes to stderr, line by line, into the log: "<n>text" from plugin-host, anything
// else (a library, the C++ runtime's last words) as a notice. Lines are cut at kMaxLine bytes and
// dropped beyond kLinesAtOnce and, in the long run, kLinesPerSecond: seven chatty plugins must not
// use up what journald lets a service write. The dropped are counted, in a line a second at most.
class StderrReader {
 public:
  static constexpr size_t kMaxLine = 1'000;
  static constexpr double kLinesPerSecond = 5, kLinesAtOnce = 100;
  // Receives a line that is printable and bounded.
  using Sink = std::function<void(log::Level, const std::string&)>;

  StderrReader(UniqueFd fd, Sink sink) : fd_(std::move(fd)), sink_(std::move(sink)) {}

  int fd() const { return fd_.get(); }
  // Reads what is there, at most one block. Returns its bytes; 0: nothing there, -1: end of file.
  ssize_t read_some(BootTime now);
  // Hands over an unfinished last line, and the count of dropped ones.
  void finish(BootTime now);

 private:
  void take(std::string_view block, BootTime now);
  void end_line(BootTime now);
  void summarise();
  UniqueFd fd_;
  Sink sink_;
  std::string line_;
  Rate rate_{kLinesPerSecond, kLinesAtOnce};
  int64_t dropped_ = 0;
  BootTime summarised_{};
};

}  // namespace fieldpost
