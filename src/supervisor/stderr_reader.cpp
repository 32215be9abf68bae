// SPDX-License-Identifier: Apache-2.0
#include "supervisor/stderr_reader.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"

namespace fieldpost {

ssize_t StderrReader::read_some(BootTime now) {
  std::array<char, 4096> block{};
  const ssize_t n = ::read(fd_.get(), block.data(), block.size());
  if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  if (n == 0) return -1;
  take({block.data(), static_cast<size_t>(n)}, now);
  return n;
}

void StderrReader::take(std::string_view block, BootTime now) {
  while (!block.empty()) {
    const size_t end = std::min(block.find('\n'), block.size());
    const size_t room = kMaxLine + 8 - std::min(line_.size(), kMaxLine + 8);
    line_ += block.substr(0, std::min(end, room));
    if (end == block.size()) return;
    end_line(now);
    block.remove_prefix(end + 1);
  }
}

void StderrReader::end_line(BootTime now) {
  std::string_view text = line_;
  auto level = log::Level::Notice;
  if (text.size() >= 3 && text[0] == '<' && text[1] >= '3' && text[1] <= '7' && text[2] == '>') {
    level = static_cast<log::Level>(text[1] - '0');
    text.remove_prefix(3);
  }
  if (!text.empty()) {
    const std::string line = printable(text, kMaxLine);
    if (rate_.take(1, now)) {
      if (now - summarised_ >= std::chrono::seconds(1)) {
        summarised_ = now;
        summarise();
      }
      sink_(level, line);
    } else {
      ++dropped_;
    }
  }
  line_.clear();
}

void StderrReader::summarise() {
  if (dropped_ == 0) return;
  sink_(log::Level::Warning, std::to_string(std::exchange(dropped_, 0)) + " lines dropped");
}

void StderrReader::finish(BootTime now) {
  end_line(now);
  summarise();
}

}  // namespace fieldpost
