// SPDX-License-Identifier: Apache-2.0
//
// Debian's mosquitto on a free port of 127.0.0.1, started and stopped by a test.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "fakes/process.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost::test {

struct BrokerOptions {
  // TLS with this certificate and key; empty: plain.
  std::string certificate, key;
  // Lines of mosquitto.conf.
  std::string extra;
  std::string listener = {};  // about our listener alone
};

class Broker {
 public:
  using Options = BrokerOptions;
  // Starts it and waits until it listens; throws if it does not.
  explicit Broker(Options options = {});

  uint16_t port() const { return port_; }
  void stop();          // in order
  void kill();          // at once
  void freeze() const;  // answers nothing any more, keeps its connections
  void thaw() const;
  void start();  // again, on the same port
  std::string log() const;

 private:
  TempDir folder_;
  Options options_;
  uint16_t port_ = free_port();
  std::unique_ptr<Process> process_;
};

}  // namespace fieldpost::test
