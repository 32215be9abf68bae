// SPDX-License-Identifier: Apache-2.0
//
// How bytes get to the broker and back. libmosquitto speaks MQTT only, into a private Unix socket;
// a transport does name lookup, TCP, proxy, TLS and WebSocket behind it, without ever blocking, and
// knows in words how far it got and why it ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "uplink/resolve.hpp"

namespace boost::asio {
class io_context;
}

namespace fieldpost {

class Transport {
 public:
  struct Options {
    std::string run_dir;  // for the socket; only we may enter it (0700)
    std::string host;     // a name or a numeric address
    uint16_t port = 0;
    bool tls = false;
    std::string ca_file;              // empty: the system's trust store
    std::string cert_file, key_file;  // to show to the broker; empty: none
    std::string web_socket_path;      // begins with '/'; empty: no WebSocket
    std::string proxy_host;           // of an HTTP proxy; empty: none
    uint16_t proxy_port = 0;
    std::string proxy_login;                 // "USER:PASSWORD"; empty: none
    std::chrono::milliseconds step_limit{};  // for each step: lookup, each address, TLS, …
    std::chrono::milliseconds lost_after{};  // unacknowledged data for so long: the line is lost
    Resolver resolve;
  };
  // Called from the loop, never from within a call into the transport.
  struct Events {
    std::function<void(const std::string& step)> step;  // "resolve broker.example"
    // The broker's side stands; now one client may connect to the socket.
    std::function<void(const std::string& socket_path)> ready;
    // Once, the last event. Everything that came from the broker has been written to the socket,
    // which is closed.
    std::function<void(const std::string& reason)> ended;
  };

  // How the reason begins when the broker has closed the connection in order; after it may stand
  // what it gave as a reason of its own.
  static constexpr const char* kClosed = "the broker closed the connection";

  // Ends everything at once; no event comes any more. May be called from an event.
  virtual ~Transport() = default;

  // Bytes that the broker's machine has not acknowledged yet.
  virtual int64_t unsent_bytes() const = 0;
};

// mqtt://, mqtts://, ws:// and wss://, through a proxy or not. When the client closes its side,
// what it wrote is sent, then the broker's side is closed in order.
std::unique_ptr<Transport> start_relay(boost::asio::io_context& io, Transport::Options options,
                                       Transport::Events events);

}  // namespace fieldpost
