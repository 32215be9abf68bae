// SPDX-License-Identifier: Apache-2.0
//
// The far end of a serial line, which answers what a test says: for answers that no proper device
// would give.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"

namespace fieldpost::fakes {

using Frame = std::vector<uint8_t>;

// With its CRC-16 (Modbus over serial line V1.02, 6.2.2), low byte first.
inline Frame with_crc(Frame frame) {
  uint16_t crc = 0xFFFF;
  for (const uint8_t byte : frame) {
    crc = static_cast<uint16_t>(crc ^ byte);
    for (int i = 0; i < 8; ++i) {
      crc = static_cast<uint16_t>((crc >> 1) ^ ((crc & 1) != 0 ? 0xA001 : 0));
    }
  }
  frame.push_back(static_cast<uint8_t>(crc & 0xFF));
  frame.push_back(static_cast<uint8_t>(crc >> 8));
  return frame;
}

// The right answer to a request for registers, without its CRC: each holds `value`.
inline Frame registers_bare(const Frame& request, uint16_t value) {
  const auto count = static_cast<uint8_t>(request[5]);
  Frame answer{request[0], request[1], static_cast<uint8_t>(2 * count)};
  for (int i = 0; i < count; ++i) {
    answer.push_back(static_cast<uint8_t>(value >> 8));
    answer.push_back(static_cast<uint8_t>(value & 0xFF));
  }
  return answer;
}
inline Frame registers(const Frame& request, uint16_t value) {
  return with_crc(registers_bare(request, value));
}

class RtuPeer {
 public:
  // Called with each request of eight bytes, which all but functions 15 and 16 have; on a thread of
  // its own.
  using Reply = std::function<Frame(const Frame& request)>;
  RtuPeer(const std::string& device, Reply reply)
      : line_(open(device.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC)),
        stop_(eventfd(0, EFD_CLOEXEC)),
        reply_(std::move(reply)) {
    if (!line_) throw std::runtime_error("cannot open " + device);
    thread_ = std::thread([this] { run(); });
  }
  RtuPeer(const RtuPeer&) = delete;
  RtuPeer& operator=(const RtuPeer&) = delete;
  ~RtuPeer() {
    const uint64_t one = 1;
    (void)!write(stop_.get(), &one, sizeof one);
    thread_.join();
  }
  // The least time from an answer to the request after it.
  std::chrono::nanoseconds shortest_gap() const { return std::chrono::nanoseconds(gap_.load()); }

 private:
  using Clock = std::chrono::steady_clock;
  void run() {
    Frame heard;
    for (;;) {
      std::array<pollfd, 2> p{{{line_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
      poll(p.data(), p.size(), -1);
      if (p[1].revents != 0) return;
      std::array<uint8_t, 256> bytes{};
      const ssize_t n = read(line_.get(), bytes.data(), bytes.size());
      if (n <= 0) return;
      if (heard.empty() && answered_ != Clock::time_point()) {
        gap_ = std::min(gap_.load(), (Clock::now() - answered_).count());
      }
      heard.insert(heard.end(), bytes.begin(), bytes.begin() + n);
      if (heard.size() < 8) continue;
      const Frame answer = reply_(std::exchange(heard, {}));
      answered_ = Clock::now();
      (void)!write(line_.get(), answer.data(), answer.size());
    }
  }

  UniqueFd line_, stop_;
  Reply reply_;
  Clock::time_point answered_{};
  std::atomic<int64_t> gap_ = INT64_MAX;
  std::thread thread_;
};

}  // namespace fieldpost::fakes
