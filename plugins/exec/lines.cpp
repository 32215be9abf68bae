// SPDX-License-Identifier: Apache-2.0
#include "lines.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>

namespace exec {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr size_t kPipe = 1 << 20;  // more than a pipe holds

}  // namespace

void Lines::read(int64_t now, const Sink& sink) {
  if (now - second_ >= kSecond) {
    second_ = now;
    lines_ = bytes_ = 0;
  }
  resume_at_.reset();
  while (lines_ < limits_.lines_per_second && bytes_ < limits_.bytes_per_second) {
    if (!take_line(sink) && !fill()) return;
  }
  resume_at_ = second_ + kSecond;
}

void Lines::read_rest(const Sink& sink) {
  resume_at_.reset();
  for (bytes_ = 0; bytes_ < kPipe;) {
    if (!take_line(sink) && !fill()) break;
  }
  if (!buffer_.empty()) hand_on(buffer_, true, sink);
  buffer_.clear();
  fd_.reset();
}

// Hands on the first line of the buffer; false if none is complete.
bool Lines::take_line(const Sink& sink) {
  const size_t end = buffer_.find('\n', searched_);
  if (end == std::string::npos) {
    searched_ = buffer_.size();
    if (buffer_.size() > limits_.line) {
      hand_on(buffer_, false, sink);
      too_long_ = true;
      buffer_.clear();
      searched_ = 0;
    }
    if (fd_.is_open() || buffer_.empty()) return false;
    hand_on(buffer_, true, sink);
    buffer_.clear();
    return true;
  }
  hand_on(std::string_view(buffer_).substr(0, end), end <= limits_.line, sink);
  too_long_ = false;
  buffer_.erase(0, end + 1);
  searched_ = 0;
  return true;
}

// One block more; false if there is none now.
bool Lines::fill() {
  if (!fd_.is_open()) return false;
  std::array<char, 16'384> block;
  const ssize_t n = ::read(fd_.get(), block.data(), block.size());
  if (n > 0) {
    buffer_.append(block.data(), static_cast<size_t>(n));
    bytes_ += static_cast<size_t>(n);
    return true;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  fd_.reset();
  return !buffer_.empty();  // its last line has no end
}

void Lines::hand_on(std::string_view line, bool whole, const Sink& sink) {
  if (too_long_) return;  // the rest of a line of which the beginning was handed on
  ++lines_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  sink(line, whole);
}

}  // namespace exec
