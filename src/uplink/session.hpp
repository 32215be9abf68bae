// SPDX-License-Identifier: Apache-2.0
//
// One MQTT connection: libmosquitto, driven by whoever owns the loop. 3.1.1, clean session, QoS 0
// or 1, no retain. A session is not used again: a new connection is a new session, so that nothing
// is ever sent twice behind our back.
//
// Not for use by several threads. After read(), write() or tick() has returned an error the
// connection is over; the message says why.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "uplink/subscriptions.hpp"

struct mosquitto;
struct mosquitto_message;  // NOLINT(readability-identifier-naming): libmosquitto's

namespace fieldpost {

std::string mosquitto_version();  // of the library that is loaded

class Session {
 public:
  struct Options {
    std::string client_id;
    std::string user, password;  // no user: neither is sent
    std::chrono::seconds keepalive{};
    int max_in_flight = 0;  // messages that will be published and not yet acknowledged, at most
    std::vector<Subscription> subscriptions;
    std::chrono::nanoseconds answer_limit{};  // for what the broker says to them
  };
  // Called from read(), before the message is acknowledged to the broker. Must not call the
  // session. Retained messages and those above 1 MiB do not get here.
  using OnMessage = std::function<void(std::string_view topic, std::string_view payload)>;

  // Connects to the Unix socket at `path` and sends CONNECT. Errors: Io.
  static Result<std::unique_ptr<Session>> open(const std::string& path, Options options,
                                               OnMessage on_message);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int fd() const;
  bool wants_write() const;
  bool connected() const { return connected_; }  // the broker has accepted us
  std::chrono::seconds keepalive() const;        // as near to the options' as libmosquitto takes

  // The CONNACK that refused us; 0: none has.
  int refusal_code() const { return refusal_code_; }

  Result<> read();   // when fd() is readable
  Result<> write();  // when it is writable, and after anything that sends
  Result<> tick();   // once a second; asks again for what was refused

  // Subscriptions that the broker does not grant.
  std::vector<std::string> refused_topics() const { return subscriptions_.refused(); }
  void ask_again_now() { subscriptions_.ask_again_now(); }

  // Queues a message for the next write(), and names it. Only while connected. Errors: Invalid (the
  // topic), Io.
  Result<int> publish(const std::string& topic, std::string_view payload, int qos = 1);
  // What was acknowledged since the last call, in the order of acknowledgement; of QoS 0 what was
  // written.
  std::vector<int> take_acknowledged() { return std::exchange(acknowledged_, {}); }

  void set_max_in_flight(int messages);
  void set_subscriptions(std::vector<Subscription> subscriptions);
  // Retained messages since the last call, and the topic of the last one: what the broker has kept
  // of old is an order of yesterday, repeated at each connection. None is handed on.
  struct Retained {
    int64_t count = 0;
    std::string topic;
  };
  Retained take_retained() { return std::exchange(retained_, {}); }
  // Queues a DISCONNECT for the next write().
  void disconnect();

 private:
  // What came back for subscriptions.
  struct Grant {
    int mid;
    std::vector<int> codes;
  };

  Session(Options options, OnMessage on_message);
  Result<> start(const std::string& path);
  Result<> settle(int code);
  void subscribe(const std::vector<Subscription>& subscriptions);
  void subscribe(const std::vector<std::string>& topics, int qos);
  void check_grants();
  void on_connect(int code);
  void on_message(const mosquitto_message& message);
  void ignore(const char* why, const mosquitto_message& message);

  struct Destroy {
    void operator()(mosquitto* m) const;
  };

  Options options_;
  OnMessage on_message_;
  std::unique_ptr<mosquitto, Destroy> client_;
  bool connected_ = false;
  int refusal_code_ = 0;
  std::string refusal_;  // in words, when the broker did not accept us
  std::vector<int> acknowledged_;
  Subscriptions subscriptions_;
  int64_t ignored_ = 0;  // messages, since it was told
  std::chrono::steady_clock::time_point tell_ignored_;
  Retained retained_;
  std::vector<Grant> grants_;  // to be looked at when the callback has returned
};

}  // namespace fieldpost
