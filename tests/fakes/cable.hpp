// SPDX-License-Identifier: Apache-2.0
//
// A TCP line that a test can cut: forwards what comes to its own port to another one of 127.0.0.1.
// On request it is an HTTP proxy, which has to be asked first.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

namespace fieldpost::test {

class Cable {
 public:
  enum class Mode : uint8_t {
    Forward,
    Swallow,  // takes everything, carries nothing: a cable that is pulled behind the next machine
    Drip,     // carries what the far side says byte by byte, one each kDrip
    Reset,    // RST for whoever is there, and for everybody who comes
    Gone,     // as a machine that was started anew: RST, but only when it is spoken to
  };
  static constexpr std::chrono::milliseconds kDrip{40};

  struct Options {
    uint16_t to = 0;
    bool ipv6 = false;        // listens at ::1 instead of 127.0.0.1
    std::string answer = {};  // of a proxy, to what ends with an empty line; empty: no proxy
  };
  explicit Cable(Options options);
  Cable(const Cable&) = delete;
  Cable& operator=(const Cable&) = delete;
  ~Cable();

  uint16_t port() const { return port_; }
  void set(Mode mode);
  int connections() const { return connections_; }
  std::vector<std::string> requests() const;  // that a proxy was asked

 private:
  struct Pair {
    UniqueFd near, far;
    std::string asked;  // of a proxy, so far
    bool through = false;
    std::string to_near;  // waits for its time
    std::chrono::steady_clock::time_point next_drip;
  };

  void run();
  void accept();
  // False: the connection is over.
  bool serve(Pair& pair, short near_events, short far_events);
  bool take_near(Pair& pair);
  bool take_far(Pair& pair);
  bool drip(Pair& pair);
  bool ask(Pair& pair, std::string_view bytes);
  bool dial(Pair& pair) const;

  Options options_;
  uint16_t port_ = 0;  // before what finds it out
  UniqueFd listener_, wake_;
  std::atomic<Mode> mode_ = Mode::Forward;
  std::atomic<bool> stop_ = false;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;  // guarded by mutex_
  std::list<Pair> pairs_;              // the thread's own
  std::thread thread_;
};

}  // namespace fieldpost::test
