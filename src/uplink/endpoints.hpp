// SPDX-License-Identifier: Apache-2.0
//
// What a name's addresses are to a transport: where to connect, in which order, and as text.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <string>
#include <utility>  // before Asio: 1.74 uses std::exchange without it
#include <vector>

namespace fieldpost {

// The first of each family, then the second of each: a family that leads nowhere delays by one
// step. Within a family the order given, best first. What is no numeric address is left out.
std::vector<boost::asio::ip::tcp::endpoint> endpoints_of(const std::vector<std::string>& addresses,
                                                         uint16_t port);
// "192.0.2.1:1883", "[2001:db8::1]:1883".
std::string text_of(const boost::asio::ip::tcp::endpoint& endpoint);
// "broker.example:1883", "[2001:db8::1]:1883"; port 0: without it.
std::string host_and_port(const std::string& host, uint16_t port);

}  // namespace fieldpost
