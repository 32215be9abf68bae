// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lines.hpp"
#include "program.hpp"
#include "start.hpp"

namespace exec {

// Wakes `epoll` when `fd` is readable. Throws std::system_error.
void watch(const Fd& epoll, int fd);

// One run of the program, from its start until nothing is left of it, and its pipes.
class Run {
 public:
  static constexpr Limits kOutput{65'536, 500, 1 << 20};
  static constexpr Limits kErrors{1'000, 100, 1 << 18};  // stderr

  // Throws sdk::IoError: why it did not start. `epoll` outlives it.
  Run(const ProgramSpec& spec, const Fd& epoll, int64_t now);

  // Reads what it has printed, and looks what has become of it.
  void serve(int64_t now, const Lines::Sink& on_line, const Lines::Sink& on_error);
  // Watches the pipes where they may be read. Returns when to serve it at the latest.
  std::optional<int64_t> arm();

  // Ends it, once. `why` is the reason that counts.
  void stop(int64_t now, const std::string& why);
  // What of `text` its stdin takes now, from `written` on. False: it has closed its stdin.
  bool write(const std::string& text, size_t& written);

  bool is_running() const { return stopped_.empty() && !program_.has_exited(); }
  bool is_gone() const { return program_.is_gone(); }
  bool is_throttled() const { return out_.resume_at().has_value(); }
  int64_t began() const { return began_; }
  int64_t last_line() const { return last_line_; }  // or its beginning
  // When its stdout was found closed; none while it can still print.
  std::optional<int64_t> closed_stdout() const { return closed_; }
  int stdin_fd() const { return in_.get(); }
  // Why it was stopped, or how it has ended by itself; "" for status 0.
  std::string failure() const;

 private:
  void watch_while_readable(const Lines& lines, bool& watching) const;

  const Fd& epoll_;
  int64_t began_, last_line_;
  std::optional<int64_t> closed_;
  std::string stopped_;
  // Of what it might write to, this is closed before it is ended: members go from the last on.
  Program program_;
  Fd in_;
  Lines out_, err_;
  bool watching_out_ = false, watching_err_ = false;

  Run(Started started, const Fd& epoll, int64_t now);
};

}  // namespace exec
