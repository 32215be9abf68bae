// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "start.hpp"

namespace exec {

// What may be read of a pipe.
struct Limits {
  size_t line;              // bytes; of a longer line only the beginning is handed on
  size_t lines_per_second;  // and
  size_t bytes_per_second;  // what is beyond waits in the pipe, and its writer with it
};

// A pipe, line by line.
class Lines {
 public:
  // `whole`: the line was not too long.
  using Sink = std::function<void(std::string_view line, bool whole)>;

  Lines(Fd fd, Limits limits) : fd_(std::move(fd)), limits_(limits) {}

  int fd() const { return fd_.get(); }
  bool is_open() const { return fd_.is_open(); }

  // Hands on what there is, within the limits. At the end of file the rest counts as a line, and
  // the descriptor is closed.
  void read(int64_t now, const Sink& sink);
  // The writer is gone or does not count any more: what is in the pipe, whatever the limits.
  void read_rest(const Sink& sink);
  // When there is more to be read than the limits allow: from then on it may be.
  std::optional<int64_t> resume_at() const { return resume_at_; }

 private:
  bool take_line(const Sink& sink);
  bool fill();
  void hand_on(std::string_view line, bool whole, const Sink& sink);

  Fd fd_;
  Limits limits_;
  std::string buffer_;            // at most a line and a block
  size_t searched_ = 0;           // of buffer_, without a line end
  bool too_long_ = false;         // the running line's beginning was handed on
  int64_t second_ = 0;            // when the running second began
  size_t lines_ = 0, bytes_ = 0;  // in it
  std::optional<int64_t> resume_at_;
};

}  // namespace exec
