// SPDX-License-Identifier: Apache-2.0
//
// From a host name to a TCP connection: a lookup that can be abandoned, then its addresses of both
// families, each a little after the one before, until one answers (RFC 8305, "happy eyeballs").
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>  // before Asio: 1.74 uses std::exchange without it
#include <vector>

#include "uplink/resolve.hpp"

namespace fieldpost {

class Connect {
 public:
  struct Options {
    std::string host;  // a name or a numeric address
    uint16_t port = 0;
    Resolver resolve;
    std::chrono::milliseconds step_limit{};  // for the lookup, and for each address
  };
  // Called from the loop. The last two: one of them, once, as the last event.
  struct Events {
    std::function<void(const std::string& step)> step;  // "resolve broker.example"
    std::function<void(boost::asio::ip::tcp::socket socket)> done;
    std::function<void(const std::string& reason)> failed;
  };

  // An address that does not answer holds up the next by so much (RFC 8305, section 5).
  static constexpr std::chrono::milliseconds kStagger{250};
  static constexpr size_t kMaxAddresses = 16;  // of a name; each takes a socket

  // Not in the constructor: it may call events.
  Connect(boost::asio::io_context& io, Options options, Events events);
  ~Connect();  // not from within an event: abandon()
  Connect(const Connect&) = delete;
  Connect& operator=(const Connect&) = delete;

  void start();
  void abandon();  // at once; no event comes any more

 private:
  struct Attempt {
    explicit Attempt(boost::asio::io_context& io) : socket(io), limit(io) {}
    boost::asio::ip::tcp::socket socket;
    boost::asio::steady_timer limit;
    std::string step;     // "connect 192.0.2.1:1883"
    std::string refusal;  // what became of it; empty: under way
  };

  void resolve();
  void on_resolved();
  void connect_next();
  void connect(Attempt& attempt, const boost::asio::ip::tcp::endpoint& endpoint);
  void on_connected(Attempt& attempt, boost::system::error_code error);
  void fail(const std::string& reason);
  // Wraps a handler so that it is not called when this is gone or has ended.
  template <class Handler>
  auto live(Handler handler);

  boost::asio::io_context& io_;
  Options options_;
  Events events_;
  // Handlers that are under way hold weak references to it, to know whether this still exists.
  std::shared_ptr<Connect*> alive_ = std::make_shared<Connect*>(this);
  bool ended_ = false;
  boost::asio::steady_timer timer_;  // the lookup's limit, then the next attempt
  std::optional<Lookup> lookup_;
  boost::asio::posix::stream_descriptor lookup_ready_;
  std::vector<boost::asio::ip::tcp::endpoint> endpoints_;
  std::vector<std::unique_ptr<Attempt>> attempts_;  // at the first of endpoints_
};

}  // namespace fieldpost
