// SPDX-License-Identifier: Apache-2.0
//
// One attempt to reach the broker, and the connection that comes of it: a transport and a session,
// driven from the uplink's loop. It ends once, with a reason, and is then thrown away.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>  // before Asio: 1.74 uses std::exchange without it
#include <vector>

#include "uplink/session.hpp"
#include "uplink/transport.hpp"

namespace fieldpost {

class Line {
 public:
  struct Options {
    Transport::Options transport;
    Session::Options session;
  };
  // Who ended it.
  enum class End : uint8_t {
    Broker,   // in order
    Refusal,  // CONNACK 5
    Other,
  };
  // Called from the loop, never from within a call into the line.
  struct Events {
    std::function<void(const std::string& step)> step;
    std::function<void()> up;                                      // the broker has accepted us
    std::function<void(const std::string& reason, End end)> down;  // once, the last one
    std::function<void(const std::vector<int>& mids)> acknowledged;
    Session::OnMessage message;        // must not call the line
    std::function<void()> heard = {};  // something came, since up(); may be empty
  };

  Line(boost::asio::io_context& io, Options options, Events events);
  ~Line();  // at once; no event comes any more
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  // Names the message. Leaves with the next flush(). Errors: as Session::publish().
  Result<int> publish(const std::string& topic, std::string_view payload, int qos = 1);
  void flush();
  // Once a second: keepalives, and whether the broker still says something.
  void on_tick();
  void set_subscriptions(std::vector<Subscription> subscriptions);
  void set_max_in_flight(int messages);
  // As of Session.
  std::vector<std::string> refused_topics() const;
  void ask_again_now();
  Session::Retained take_retained();
  // Ends in order; down() follows.
  void close();
  // Ends at once; down() follows, with this reason unless there was one already.
  void fail(const std::string& reason);
  // Bytes on their way that the broker's machine has not acknowledged.
  int64_t unsent_bytes() const { return transport_->unsent_bytes(); }
  // The broker's machine has all that has left the session, but for what left in this moment.
  bool all_arrived() const { return session_ && !session_->wants_write() && unsent_bytes() == 0; }

 private:
  void on_ready(const std::string& path);
  void on_transport_ended(const std::string& reason);
  void on_readable();
  bool is_silent();
  void watch_read();
  void watch_write();
  void watch_login();
  bool go_on(const Result<>& result);
  void deliver();
  void close_session();
  // Wraps a handler so that it is not called when this is gone or has ended.
  template <class Handler>
  auto live(Handler handler);

  boost::asio::io_context& io_;
  Options options_;
  Events events_;
  // Handlers that are under way hold weak references to it, to know whether this still exists.
  std::shared_ptr<Line*> alive_ = std::make_shared<Line*>(this);
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Session> session_;
  boost::asio::posix::stream_descriptor watched_;  // a duplicate of the session's
  boost::asio::steady_timer login_;
  std::chrono::steady_clock::time_point last_heard_;  // of the broker
  bool watching_write_ = false;
  bool up_ = false;
  bool ended_ = false;
};

}  // namespace fieldpost
