// SPDX-License-Identifier: Apache-2.0
//
// Two pseudo-terminals joined like a serial cable. It can be cut, and it can be noisy.
#pragma once

#include <poll.h>
#include <pty.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/unique_fd.hpp"

namespace fieldpost::fakes {

class SerialPair {
 public:
  SerialPair() : a_(open_end()), b_(open_end()), stop_(eventfd(0, EFD_CLOEXEC)) {
    thread_ = std::thread([this] { run(); });
  }
  SerialPair(const SerialPair&) = delete;
  SerialPair& operator=(const SerialPair&) = delete;
  ~SerialPair() {
    const uint64_t one = 1;
    (void)!write(stop_.get(), &one, sizeof one);
    thread_.join();
  }

  const std::string& a() const { return a_.path; }
  const std::string& b() const { return b_.path; }
  // Nothing passes any more, in either direction.
  void cut(bool yes) { cut_ = yes; }
  // So many chunks from b to a get a wrong bit.
  void spoil(int chunks) { spoil_ = chunks; }
  int64_t bytes() const { return bytes_; }

 private:
  struct End {
    UniqueFd master, slave;  // the slave stays open, so that the master never hangs up
    std::string path;
  };
  static End open_end() {
    int master = -1, slave = -1;
    std::array<char, 128> name{};
    termios raw{};
    cfmakeraw(&raw);
    if (openpty(&master, &slave, name.data(), &raw, nullptr) < 0) {
      throw std::runtime_error("openpty");
    }
    return {UniqueFd(master), UniqueFd(slave), name.data()};
  }
  void run() {
    for (;;) {
      std::array<pollfd, 3> p{
          {{a_.master.get(), POLLIN, 0}, {b_.master.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
      poll(p.data(), p.size(), -1);
      if (p[2].revents != 0) return;
      if ((p[0].revents & POLLIN) != 0) pass(a_, b_, false);
      if ((p[1].revents & POLLIN) != 0) pass(b_, a_, true);
    }
  }
  void pass(const End& from, const End& to, bool noisy) {
    std::array<unsigned char, 512> bytes{};
    const ssize_t n = read(from.master.get(), bytes.data(), bytes.size());
    if (n <= 0 || cut_) return;
    if (noisy && spoil_ > 0) {
      --spoil_;
      bytes[static_cast<size_t>(n) / 2] ^= 0x10;
    }
    bytes_ += n;
    (void)!write(to.master.get(), bytes.data(), static_cast<size_t>(n));
  }

  End a_, b_;
  UniqueFd stop_;
  std::atomic<bool> cut_ = false;
  std::atomic<int> spoil_ = 0;
  std::atomic<int64_t> bytes_ = 0;
  std::thread thread_;
};

}  // namespace fieldpost::fakes
