// SPDX-License-Identifier: Apache-2.0
//
// One Modbus line, TCP, RTU or RTU over TCP: the only place that knows libmodbus. It connects when
// it is first needed, and an answer that comes too late is never taken for that of a later request:
// a TCP connection is not used again after a request that went wrong, and on a serial line, also
// behind a converter, the unit that fell silent is not asked again before its answer can no longer
// come.
#pragma once

#include <fieldpost/plugin.hpp>
#include <modbus/modbus.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "blocks.hpp"
#include "url.hpp"

namespace fieldpost::modbus {

// Nothing came back from the unit in time, or nothing that makes sense. The line itself works.
struct Silence : sdk::IoError {
  using IoError::IoError;
};

// The line was lost after the request had left, or while it did.
struct LineLost : sdk::IoError {
  using IoError::IoError;
};

class Bus {
 public:
  // `pause` is how long the line is left alone between requests, at least.
  Bus(Endpoint endpoint, std::chrono::nanoseconds connect_timeout, std::chrono::nanoseconds pause);

  // One request each. A unit's refusal is an Answer with its exception; words are the bus's own,
  // until the next request. Throws Silence, LineLost, and
  // IoError when there is no line: "tcp://192.168.1.20:502: Connection refused".
  Answer read(int unit, const Extent& what, std::chrono::nanoseconds timeout);
  // Function 15 or 16 if `multiple`, else 5 or 6, which take one word. Only for coils and holding
  // registers.
  Answer write(int unit, Table table, uint16_t address, std::span<const uint16_t> words,
               bool multiple, std::chrono::nanoseconds timeout);

  const Endpoint& endpoint() const { return endpoint_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Closer {
    void operator()(modbus_t* ctx) const;
  };

  // Runs `request(modbus_t*, Answer&)`, which returns what libmodbus did. `line_bytes` is what it
  // and its answer take on a serial line; `repeatable`: asking twice does no harm.
  template <class F>
  Answer transact(int unit, std::chrono::nanoseconds timeout, int line_bytes, bool repeatable,
                  F&& request);
  void connect(bool repeatable);
  int open_socket();
  void connect_tcp();
  void connect_converter();
  void connect_serial();
  void close() { line_.reset(); }
  bool stale() const;
  // Leaves the line as it must be before a request to this unit.
  void settle(int unit);
  void drop_what_comes(std::chrono::nanoseconds gap);
  void after_answer();
  void after_silence(int unit, std::chrono::nanoseconds timeout);
  std::string text_of_dead(int error) const;
  std::chrono::nanoseconds on_the_line(int bytes) const;
  [[noreturn]] void fail(const std::string& why);

  Endpoint endpoint_;
  std::chrono::nanoseconds connect_timeout_, pause_;
  std::unique_ptr<modbus_t, Closer> line_;
  bool fresh_ = false;               // nothing has been answered on this connection yet
  Clock::time_point quiet_since_{};  // when the last byte passed at the latest
  int silences_ = 0;                 // requests without an answer, since there was one
  // RTU: until then the answer of a unit that was silent may still come.
  std::array<Clock::time_point, 256> late_until_{};
  // What the last request read.
  std::array<uint16_t, kMaxBits> words_{};
  std::array<uint8_t, kMaxBits> flags_{};
};

}  // namespace fieldpost::modbus
