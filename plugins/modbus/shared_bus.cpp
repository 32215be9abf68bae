// SPDX-License-Identifier: Apache-2.0
#include "shared_bus.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <system_error>

namespace fieldpost::modbus {
namespace {

// By whichever of its names a port is called.
std::string place_of(const Endpoint& endpoint) {
  if (endpoint.line != Line::Serial) return endpoint.host + ":" + std::to_string(endpoint.port);
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(endpoint.device, error);
  return error ? endpoint.device : real.string();
}

// As people write them: "rtu, 9600 baud, 8N1".
std::string settings_of(const Endpoint& endpoint) {
  if (endpoint.line == Line::Tcp) return "tcp";
  return (endpoint.line == Line::Serial ? "rtu, " : "rtu+tcp, ") + std::to_string(endpoint.baud) +
         " baud, 8" + endpoint.parity + std::to_string(endpoint.stop);
}

}  // namespace

std::shared_ptr<Bus> shared_bus(const Endpoint& endpoint, std::chrono::nanoseconds connect_timeout,
                                std::chrono::nanoseconds pause) {
  static std::map<std::string, std::weak_ptr<Bus>> buses;  // of this process, which has one plugin
  std::weak_ptr<Bus>& known = buses[place_of(endpoint)];
  if (auto bus = known.lock()) {
    const std::string ours = settings_of(bus->endpoint());
    const std::string theirs = settings_of(endpoint);
    if (ours == theirs) return bus;
    throw sdk::ConfigError(endpoint.name() + " runs with other settings (" + ours +
                           ") than asked (" + theirs + ")");
  }
  auto bus = std::make_shared<Bus>(endpoint, connect_timeout, pause);
  known = bus;
  return bus;
}

}  // namespace fieldpost::modbus
