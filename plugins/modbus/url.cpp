// SPDX-License-Identifier: Apache-2.0
#include "url.hpp"

#include <fieldpost/plugin.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace fieldpost::modbus {
namespace {

using sdk::ConfigError;

constexpr std::array kBauds = {1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800};

int whole_number(std::string_view text, const char* what, int min, int max) {
  int number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size() || number < min || number > max) {
    throw ConfigError(std::string(what) + ": expected a whole number from " + std::to_string(min) +
                      " to " + std::to_string(max) + ", got '" + std::string(text) + "'");
  }
  return number;
}

// "host", "host:port", "[v6]", "[v6]:port"
Endpoint parse_tcp(std::string_view rest) {
  Endpoint to;
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.starts_with('[')) {
    const size_t close = rest.find(']');
    if (close == std::string_view::npos) throw ConfigError("expected ']' after the IPv6 address");
    to.host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (!rest.empty() && rest[0] != ':') throw ConfigError("expected ':' and a port after ']'");
  } else {
    const size_t colon = std::min(rest.find(':'), rest.size());
    to.host = rest.substr(0, colon);
    rest.remove_prefix(colon);
    if (rest.find(':', 1) != std::string_view::npos) {
      throw ConfigError("an IPv6 address is written in brackets: tcp://[::1]:502");
    }
  }
  if (!rest.empty()) {
    to.port = static_cast<uint16_t>(whole_number(rest.substr(1), "port", 1, 65535));
  }
  if (to.host.empty() || to.host.find_first_of("/?@ ") != std::string::npos) {
    throw ConfigError("expected HOST:PORT after the two slashes");
  }
  return to;
}

void set_parameter(Endpoint& to, std::string_view name, std::string_view value) {
  if (name == "baud") {
    to.baud = whole_number(value, "baud", 1200, 460800);
    if (std::ranges::find(kBauds, to.baud) == kBauds.end()) {
      throw ConfigError("baud: " + std::string(value) + " is not a common rate");
    }
  } else if (name == "parity") {
    if (value != "N" && value != "E" && value != "O") {
      throw ConfigError("parity: expected N, E or O, got '" + std::string(value) + "'");
    }
    to.parity = value[0];
  } else if (name == "stop") {
    to.stop = whole_number(value, "stop", 1, 2);
  } else {
    throw ConfigError("expected baud=, parity= or stop= after '?', got '" + std::string(name) +
                      "'");
  }
}

// "baud=9600&parity=N&stop=1"
void set_parameters(Endpoint& to, std::string_view rest) {
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    const size_t equals = std::min(pair.find('='), pair.size());
    set_parameter(to, pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())));
  }
}

// "/dev/ttyUSB0"
Endpoint parse_device(std::string_view path) {
  Endpoint to;
  to.line = Line::Serial;
  to.device = path;
  if (to.device.size() < 2 || to.device[0] != '/') {
    throw ConfigError("expected rtu:///dev/…: three slashes, then the path of the device");
  }
  return to;
}

// There is no usual port: each make of converters has its own.
Endpoint parse_converter(std::string_view rest) {
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || rest.find(']', colon) != std::string_view::npos) {
    throw ConfigError("expected rtu+tcp://HOST:PORT, with the port of the converter");
  }
  Endpoint to = parse_tcp(rest);
  to.line = Line::RtuOverTcp;
  return to;
}

}  // namespace

std::string Endpoint::name() const {
  if (line == Line::Serial) return device;
  const bool v6 = host.find(':') != std::string::npos;
  return (line == Line::Tcp ? "tcp://" : "rtu+tcp://") + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

Endpoint parse_url(std::string_view url) {
  if (url.starts_with("tcp://")) return parse_tcp(url.substr(6));
  const size_t mark = std::min(url.find('?'), url.size());
  const std::string_view place = url.substr(0, mark);
  Endpoint to;
  if (place.starts_with("rtu://")) {
    to = parse_device(place.substr(6));
  } else if (place.starts_with("rtu+tcp://")) {
    to = parse_converter(place.substr(10));
  } else {
    throw ConfigError(
        "expected tcp://HOST:PORT, rtu:///dev/…?baud=9600&parity=N&stop=1 or "
        "rtu+tcp://HOST:PORT?baud=9600, got '" +
        std::string(url) + "'");
  }
  set_parameters(to, url.substr(std::min(mark + 1, url.size())));
  return to;
}

}  // namespace fieldpost::modbus
