// SPDX-License-Identifier: Apache-2.0
//
// Where a bus is: "tcp://192.168.1.20:502", "tcp://[::1]:502",
// "rtu:///dev/ttyUSB0?baud=9600&parity=N&stop=1", or "rtu+tcp://192.168.1.20:4001?baud=9600", a
// serial line behind a converter that passes its bytes on. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fieldpost::modbus {

enum class Line : uint8_t { Tcp, Serial, RtuOverTcp };

struct Endpoint {
  Line line = Line::Tcp;
  std::string host;  // without brackets
  uint16_t port = 502;
  std::string device;  // an absolute path
  // Of the serial line, also behind a converter, where they only say how long frames take.
  int baud = 9600;
  char parity = 'N';  // N, E or O
  int stop = 1;
  // Its frames are those of serial lines.
  bool is_rtu() const { return line != Line::Tcp; }
  // "tcp://192.168.1.20:502", "/dev/ttyUSB0": how messages name it.
  std::string name() const;
  // Bits on the line for one byte: start, eight data, parity, stop.
  int bits_per_byte() const { return 9 + (parity == 'N' ? 0 : 1) + stop; }
};

// Throws ConfigError with what was expected.
Endpoint parse_url(std::string_view url);

}  // namespace fieldpost::modbus
