// SPDX-License-Identifier: Apache-2.0
//
// The only place that knows libmosquitto (2.0.11 in Debian 12). What it is not trusted with: name
// lookup, TLS, threads, reconnecting, resending, queueing.
#include "uplink/session.hpp"

#include <mosquitto.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "uplink/mqtt_guard.hpp"

namespace fieldpost {
namespace {

using Steady = std::chrono::steady_clock;

constexpr auto kTellIgnored = std::chrono::minutes(1);  // at most so often
constexpr size_t kTopicsAtOnce = 50;  // in a SUBSCRIBE: keeps the number of messages small

std::string words_of_connack(int code) {
  const std::string suffix = " (CONNACK " + std::to_string(code) + ")";
  switch (code) {
    case 1:
      return "the broker does not speak MQTT 3.1.1" + suffix;
    case 2:
      return "the broker does not accept the client id" + suffix;
    case 3:
      return "the broker says that it is not available" + suffix;
    case 4:
      return "the broker does not accept the access key and secret" + suffix;
    case 5:
      return "the broker does not let us in: device id, access key or secret are wrong, or it "
             "turns us away for a while" +
             suffix;
    default:
      return "the broker refused the connection" + suffix;
  }
}

std::string words_of(int code) {
  switch (code) {
    case MOSQ_ERR_ERRNO:
      return Error::from_errno(errno, "the connection broke").message;
    case MOSQ_ERR_CONN_LOST:
    case MOSQ_ERR_NO_CONN:
      return "the connection is closed";
    case MOSQ_ERR_KEEPALIVE:
      return "the broker did not answer within the keepalive";
    case MOSQ_ERR_PROTOCOL:
    case MOSQ_ERR_MALFORMED_PACKET:
      return "the broker sent what is not MQTT";
    default:
      return std::string("libmosquitto: ") + mosquitto_strerror(code);
  }
}

Session& self(void* user) { return *static_cast<Session*>(user); }

}  // namespace

std::string mosquitto_version() {
  int major = 0, minor = 0, revision = 0;
  mosquitto_lib_version(&major, &minor, &revision);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(revision);
}

void Session::Destroy::operator()(mosquitto* m) const { mosquitto_destroy(m); }

Session::Session(Options options, OnMessage on_message)
    : options_(std::move(options)),
      on_message_(std::move(on_message)),
      subscriptions_(options_.subscriptions, options_.answer_limit) {}

Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::open(const std::string& path, Options options,
                                               OnMessage on_message) {
  static std::once_flag once;  // never cleaned up: other sessions of the process may live on
  std::call_once(once, [] { mosquitto_lib_init(); });
  std::unique_ptr<Session> session(new Session(std::move(options), std::move(on_message)));
  FP_CHECK_OK(session->start(path));
  return session;
}

Result<> Session::start(const std::string& path) {
  client_.reset(mosquitto_new(options_.client_id.c_str(), true, this));
  mosquitto* m = client_.get();
  if (m == nullptr) return Error::from_errno(errno, "make an MQTT client");
  // Only so does the PUBACK of a command leave after on_message(), and not before it.
  mosquitto_threaded_set(m, true);
  mosquitto_int_option(m, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V311);
  set_max_in_flight(options_.max_in_flight);
  if (!options_.user.empty()) {
    mosquitto_username_pw_set(m, options_.user.c_str(), options_.password.c_str());
  }
  mosquitto_connect_callback_set(
      m, [](mosquitto*, void* user, int code) { self(user).on_connect(code); });
  mosquitto_publish_callback_set(
      m, [](mosquitto*, void* user, int mid) { self(user).acknowledged_.push_back(mid); });
  mosquitto_subscribe_callback_set(
      m, [](mosquitto*, void* user, int mid, int count, const int* codes) {
        self(user).grants_.push_back({.mid = mid, .codes = {codes, codes + count}});
      });
  mosquitto_message_callback_set(m, [](mosquitto*, void* user, const mosquitto_message* message) {
    self(user).on_message(*message);
  });
  const int code = mosquitto_connect(m, path.c_str(), 0, static_cast<int>(keepalive().count()));
  if (code != MOSQ_ERR_SUCCESS) return Error{Errc::Io, words_of(code)};
  return write();
}

std::chrono::seconds Session::keepalive() const {
  return std::clamp(options_.keepalive, std::chrono::seconds(5), std::chrono::seconds(65'535));
}

int Session::fd() const { return mosquitto_socket(client_.get()); }
bool Session::wants_write() const { return mosquitto_want_write(client_.get()); }

Result<> Session::settle(int code) {
  if (!refusal_.empty()) return Error{Errc::Unavailable, refusal_};
  if (code != MOSQ_ERR_SUCCESS) return Error{Errc::Io, words_of(code)};
  check_grants();
  return {};
}

Result<> Session::read() { return settle(mosquitto_loop_read(client_.get(), 1)); }

Result<> Session::write() {
  if (!wants_write()) return {};
  return settle(mosquitto_loop_write(client_.get(), 1));
}

Result<> Session::tick() {
  if (connected_) subscribe(subscriptions_.due(Steady::now()));
  return settle(mosquitto_loop_misc(client_.get()));
}

Result<int> Session::publish(const std::string& topic, std::string_view payload, int qos) {
  // Without a connection libmosquitto says "no connection", and queues it all the same.
  if (!connected_) return Error{Errc::Unavailable, "not connected"};
  int mid = 0;
  const int code = mosquitto_publish(client_.get(), &mid, topic.c_str(),
                                     static_cast<int>(payload.size()), payload.data(), qos, false);
  if (code == MOSQ_ERR_SUCCESS) return mid;
  return Error{code == MOSQ_ERR_INVAL || code == MOSQ_ERR_MALFORMED_UTF8 ? Errc::Invalid : Errc::Io,
               "publish to '" + printable(topic, 100) + "': " + mosquitto_strerror(code)};
}

void Session::set_max_in_flight(int messages) {
  mosquitto_int_option(client_.get(), MOSQ_OPT_SEND_MAXIMUM, messages);
}

void Session::disconnect() {
  connected_ = false;
  mosquitto_disconnect(client_.get());
}

void Session::on_connect(int code) {
  if (code != 0) {
    refusal_code_ = code;
    refusal_ = words_of_connack(code);
    return;
  }
  connected_ = true;
  subscribe(subscriptions_.wanted());
}

void Session::subscribe(const std::vector<Subscription>& subscriptions) {
  for (const int qos : {1, 0}) {
    std::vector<std::string> topics;
    for (const Subscription& wanted : subscriptions) {
      if (wanted.qos == qos) topics.push_back(wanted.topic);
    }
    subscribe(topics, qos);
  }
}

void Session::subscribe(const std::vector<std::string>& topics, int qos) {
  for (size_t first = 0; first < topics.size(); first += kTopicsAtOnce) {
    Subscriptions::Request asked{.topics = {}, .qos = qos};
    std::vector<char*> names;
    for (size_t i = first; i < std::min(topics.size(), first + kTopicsAtOnce); ++i) {
      asked.topics.push_back(topics[i]);
      names.push_back(const_cast<char*>(topics[i].c_str()));  // NOLINT: read only
    }
    int mid = 0;
    const int code = mosquitto_subscribe_multiple(
        client_.get(), &mid, static_cast<int>(names.size()), names.data(), qos, 0, nullptr);
    if (code != MOSQ_ERR_SUCCESS) {
      log::warning("cannot subscribe", {{"FP_REASON", mosquitto_strerror(code)}});
      continue;
    }
    subscriptions_.asked(mid, std::move(asked), Steady::now());
  }
}

void Session::check_grants() {
  for (const Grant& grant : std::exchange(grants_, {})) {
    subscribe(subscriptions_.answered(grant.mid, grant.codes, Steady::now()), 0);
  }
}

void Session::set_subscriptions(std::vector<Subscription> subscriptions) {
  const auto [gone, come] = subscriptions_.set_wanted(std::move(subscriptions));
  if (!connected_) return;  // subscribed when we are
  for (const Subscription& one : gone) {
    mosquitto_unsubscribe(client_.get(), nullptr, one.topic.c_str());
  }
  subscribe(come);
}

void Session::on_message(const mosquitto_message& message) {
  const auto bytes = static_cast<size_t>(message.payloadlen);
  if (message.retain) {
    ++retained_.count;
    retained_.topic = message.topic;
    return;
  }
  if (bytes > MqttGuard::kMaxPayload) {
    return ignore("a message is too large and is ignored", message);
  }
  on_message_(message.topic, {static_cast<const char*>(message.payload), bytes});
}

// Whoever sends them may send many.
void Session::ignore(const char* why, const mosquitto_message& message) {
  ++ignored_;
  if (Steady::now() < tell_ignored_) return;
  tell_ignored_ = Steady::now() + kTellIgnored;
  log::warning(why, {{"FP_REASON", printable(message.topic, 100)},
                     {"FP_BYTES", std::to_string(message.payloadlen)},
                     {"FP_COUNT", std::to_string(std::exchange(ignored_, 0))}});
}

}  // namespace fieldpost
