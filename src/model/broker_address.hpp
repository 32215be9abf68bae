// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace fieldpost {

// Where a broker listens, and how it is spoken to.
struct BrokerAddress {
  std::string url;  // as given; what it means:
  bool tls = false;
  std::string host;  // a name or a numeric address
  uint16_t port = 0;
  std::string web_socket_path;  // begins with '/'; empty: no WebSocket
  bool operator==(const BrokerAddress&) const = default;
};

}  // namespace fieldpost
