// SPDX-License-Identifier: Apache-2.0
//
// The uplink thread: an Asio loop with the MQTT session and the transport. It takes chunks from
// the store, publishes them as Losant states, and tells the store what was acknowledged; it hands
// commands to the main thread. It never waits for anything but its own loop.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "model/broker_address.hpp"
#include "model/command.hpp"
#include "model/rate_limits.hpp"
#include "store/outbox.hpp"
#include "uplink/quarantine.hpp"
#include "uplink/resolve.hpp"
#include "uplink/session.hpp"

namespace fieldpost {

struct UplinkStatus {
  enum class State : uint8_t { Stopped, Waiting, Connecting, Connected };
  State state = State::Stopped;
  std::string url;       // of the broker that is, was or will be dialled
  std::string reason;    // in Waiting: why the last attempt or connection ended
  std::string step;      // in Connecting: "resolve broker.example", "connect 127.0.0.1:1883", …
  int64_t since_ns = 0;  // BootTime of the last change of state
  int64_t retry_ns = 0;  // in Waiting: BootTime of the next attempt
  int64_t connections = 0;  // since the start
  int64_t published = 0;    // messages acknowledged
  int64_t published_bytes = 0;
  int64_t readings = 0;      // acknowledged
  int64_t in_flight = 0;     // messages
  int64_t refused = 0;       // readings that cannot be published (larger than a payload may be)
  int64_t batch_age_ns = 0;  // that a reading waits for others, stretched where devices are many
  int64_t live_devices = 0;  // that have sent something new lately, and share the limits
  bool held_back = false;    // something waits for the rate limits
  bool slowed = false;       // to half of the limits, because the broker has thrown us out
  std::vector<Quarantine::SetAside> set_aside;  // topics that the broker does not let us publish to
  std::vector<std::string> refused_topics;      // nor subscribe to
  // Of what goes to custom topics, since the start; these are in the counts above as well.
  int64_t custom_published = 0;  // messages
  int64_t custom_dropped = 0;    // readings of [[publish]] entries that are gone
  int64_t retained = 0;          // messages that came, and were ignored
};

class Uplink {
 public:
  struct Options {
    // For the private socket: a folder of our own, made if it is missing (0700, refused if others
    // may enter), with a path of at most 95 bytes.
    std::string run_dir;
    std::string client_id;               // Losant id of the gateway
    std::vector<BrokerAddress> brokers;  // at least one; when one fails the next is tried
    std::string ca_file;                 // empty: the system's trust store
    std::string cert_file, key_file;     // to show to the broker; empty: none
    std::string proxy_host;              // of an HTTP proxy; empty: none
    uint16_t proxy_port = 0;
    // Read at each connect; empty: none.
    std::string access_key_file, access_secret_file, proxy_login_file;
    std::chrono::nanoseconds keepalive{}, connect_timeout{}, backoff_max{};
    int window_messages = 20;
    int64_t window_bytes = int64_t{1} << 20;
    int64_t max_payload = 240'000;
    RateLimits limits;        // none unless given
    bool live_first = false;  // what is new beside the backlog; else strictly the oldest first
    std::chrono::nanoseconds batch_max_age{};          // that a sample may wait for others
    std::map<std::string, std::string> flow_versions;  // of states, by device id
    std::vector<std::string> device_ids;               // whose command topics are subscribed
    std::vector<PublishConfig> publishes;              // what custom topics get
    std::vector<Subscription> custom_subscriptions;    // outside of losant/
    Resolver resolve = system_resolver;                // how host names become addresses
  };
  // Called on the uplink thread; must only post to a mailbox.
  struct Sinks {
    // Answered by on_fetched.
    std::function<void(Lane lane, int64_t after, size_t max_points)> fetch;
    std::function<void(std::vector<int64_t> rows)> acknowledge;
    std::function<void(DeviceIds devices)> set_aside;  // as of Store
    // The broker hears that it came when these are done. A message is one on a topic of
    // custom_subscriptions.
    std::function<void(IncomingCommand)> command;
    std::function<void(const IncomingMessage&)> message;
    std::function<void(const UplinkStatus&)> status;  // on change
    // A message was handed to the connection: a device's states, or, under the gateway's id, one
    // that is not state. `bytes` of payload.
    std::function<void(std::string_view device, size_t bytes)> sent;
    // A publication was acknowledged, or given up: the line is down, or the broker does not let us
    // publish to its topic.
    std::function<void(const Publication&, bool delivered)> published;
  };

  // The thread does not run yet: whoever the sinks speak to must have this object first.
  Uplink(Options options, Sinks sinks);
  ~Uplink();  // stop()
  Uplink(const Uplink&) = delete;
  Uplink& operator=(const Uplink&) = delete;

  void start();  // once

  // Any thread; never waits.
  void on_committed(int64_t newest);   // item_id: something up to there can be fetched
  void on_backlog();                   // something older than what was fetched can be fetched
  void on_stored(int64_t newest_row);  // rows up to there are on the disk
  void on_fetched(Fetched fetched);
  // QoS 1, ahead of states. Waits for a connection; what was on the line when one ends is given up.
  void publish(Publication publication);
  void reconnect();             // ends a back-off at once
  void apply(Options options);  // a new configuration; reconnects only if it must
  // Asks for a sign of life; answered() counts the answers. For the watchdog.
  void ping();
  uint64_t answered() const;
  // When something came from the broker last, of one that had accepted us; epoch: never. Where
  // nothing else is said, that is the answer to a ping, every keepalive.
  BootTime heard() const;

  // Disconnects in order if that is quick, and ends the thread; never takes longer than `limit`.
  void stop(std::chrono::milliseconds limit = std::chrono::milliseconds(500));

 private:
  struct Thread;
  std::unique_ptr<Thread> thread_;
};

}  // namespace fieldpost
