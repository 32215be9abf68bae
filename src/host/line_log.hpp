// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/clock.hpp"

namespace fieldpost {

// Lines on stderr, "<priority>text" as sd-daemon(3) has it; the supervisor reads them and adds the
// instance's name. What a plugin logs is bounded: at most kLinesPerSecond, cut to kMaxLine bytes,
// and dropped rather than waited for when nobody reads.
class LineLog {
 public:
  static constexpr int kLinesPerSecond = 50;
  static constexpr size_t kMaxLine = 1'000;

  explicit LineLog(int fd) : fd_(fd) {}

  // `priority` is one of syslog(3)'s; what is more urgent than an error becomes an error, what is
  // none becomes debug.
  void write(int priority, std::string_view text, BootTime now = BootClock::now());
  // Tells how many lines were dropped, once their second is over.
  void summarise(BootTime now);

 private:
  void put(int priority, const std::string& text);
  int fd_;
  BootTime second_{};  // when the running second began
  int written_ = 0;    // in it
  int dropped_ = 0;
};

}  // namespace fieldpost
