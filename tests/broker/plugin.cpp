// SPDX-License-Identifier: Apache-2.0
//
// Makes Debian's mosquitto (2.0.11) behave like Losant's broker. The rules are in rules.hpp; here
// they meet mosquitto's events, and everything that happens is recorded as JSON lines.
//
// Loaded with `plugin FILE` and `plugin_opt_settings FILE`. All on mosquitto's one thread.
//
// How a connection is closed (measured with 2.0.11): by returning an error from the event of the
// message or subscription that broke a rule, or by a kick that waits for the next tick (at most
// 100 ms). A kick inside a callback frees what mosquitto is still using.
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#include <chrono>
#include <exception>
#include <memory>
#include <set>
#include <string>
#include <unordered_set>

#include "broker/record.hpp"
#include "broker/rules.hpp"

namespace fieldpost::losant {
namespace {

int64_t monotonic_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

std::string text(const char* c_string) { return c_string == nullptr ? "" : c_string; }
std::string id_of(const mosquitto* client) { return text(mosquitto_client_id(client)); }

class Plugin {
 public:
  explicit Plugin(const Settings& settings) : rules_(settings), record_(settings.record) {}

  int on(const mosquitto_evt_basic_auth& event) {
    const Login login{.client = id_of(event.client),
                      .user = text(event.username),
                      .password = text(event.password),
                      .mqtt_version = mosquitto_client_protocol_version(event.client)};
    if (const Verdict breach = rules_.connect(monotonic_ms(), login)) {
      record_.write("refuse", login.client,
                    {{"user", login.user},
                     {"kind", breach->kind},
                     {"words", breach->words},
                     {"refused_ms", breach->refused_ms}});
      return MOSQ_ERR_AUTH;
    }
    // The flags are not known before the CONNECT has been accepted.
    arriving_.insert(event.client);
    return MOSQ_ERR_SUCCESS;
  }

  int on(const mosquitto_evt_acl_check& event) {
    welcome(event.client);
    const std::string client = id_of(event.client);
    if (is_platform(event.client)) return MOSQ_ERR_SUCCESS;
    switch (event.access) {
      case MOSQ_ACL_SUBSCRIBE:
        return subscribe(client, event.topic, event.qos);
      case MOSQ_ACL_READ:
        return deliver(client, event);
      default:
        return MOSQ_ERR_SUCCESS;  // a publish is judged by its own event
    }
  }

  int on(const mosquitto_evt_message& event) {
    welcome(event.client);
    const bool platform = is_platform(event.client);
    const std::string client = id_of(event.client);
    const Publish message{
        .topic = event.topic, .qos = event.qos, .retain = event.retain, .bytes = event.payloadlen};
    if (!platform) {
      if (const Verdict breach = rules_.publish(monotonic_ms(), client, message)) {
        note(client, *breach, message.topic);
        return MOSQ_ERR_UNKNOWN;  // closes
      }
    }
    const std::string payload(static_cast<const char*>(event.payload), event.payloadlen);
    // The same again is a repetition by QoS 1, or as good as one.
    const bool first =
        seen_.insert(std::hash<std::string>{}(message.topic + '\0' + payload)).second;
    record_.write("publish", client,
                  {{"platform", platform},
                   {"topic", message.topic},
                   {"qos", message.qos},
                   {"retain", message.retain},
                   {"bytes", message.bytes},
                   {"duplicate", !first},
                   {"payload", payload}});
    return MOSQ_ERR_SUCCESS;
  }

  int on(const mosquitto_evt_disconnect& event) {
    const std::string client = id_of(event.client);
    if (client.empty()) {  // it was refused
      arriving_.erase(event.client);
      return MOSQ_ERR_SUCCESS;
    }
    welcome(event.client);
    leaving_.erase(client);
    record_.write("disconnect", client);
    return MOSQ_ERR_SUCCESS;
  }

  int on(const mosquitto_evt_tick& /*event*/) {
    while (!arriving_.empty()) welcome(*arriving_.begin());
    // Each kick is a disconnect event, which takes it from the set.
    const std::set<std::string> leaving = leaving_;
    for (const std::string& client : leaving) {
      mosquitto_kick_client_by_clientid(client.c_str(), false);
    }
    leaving_.clear();
    return MOSQ_ERR_SUCCESS;
  }

 private:
  bool is_platform(const mosquitto* client) const {
    return rules_.is_platform(text(mosquitto_client_username(client)));
  }

  // The first sight of a client whose CONNECT was accepted.
  void welcome(const mosquitto* client) {
    if (arriving_.erase(client) == 0) return;
    const std::string id = id_of(client);
    const bool clean = mosquitto_client_clean_session(client);
    const bool websocket = mosquitto_client_protocol(client) == mp_websockets;
    record_.write("connect", id,
                  {{"platform", is_platform(client)},
                   {"user", text(mosquitto_client_username(client))},
                   {"clean_session", clean},
                   {"keepalive", mosquitto_client_keepalive(client)},
                   {"websocket", websocket}});
    if (clean || is_platform(client)) return;
    note(id, {"clean-session", "clean session 0 is not supported"}, "");
    leaving_.insert(id);
  }

  int subscribe(const std::string& client, const std::string& topic, int qos) {
    Breach why;
    const Grant grant = rules_.subscribe(client, topic, qos, why);
    record_.write("subscribe", client,
                  {{"topic", topic}, {"qos", qos}, {"granted", grant == Grant::Yes}});
    if (grant == Grant::Yes) return MOSQ_ERR_SUCCESS;
    note(client, why, topic);
    return grant == Grant::Refused ? MOSQ_ERR_ACL_DENIED : MOSQ_ERR_UNKNOWN;
  }

  int deliver(const std::string& client, const mosquitto_evt_acl_check& event) {
    const std::string topic = event.topic;
    if (const Verdict breach = rules_.deliver(monotonic_ms(), client, topic)) {
      if (leaving_.insert(client).second) note(client, *breach, topic);
      return MOSQ_ERR_ACL_DENIED;  // an error would fall on the one who published
    }
    record_.write("deliver", client, {{"topic", topic}, {"bytes", event.payloadlen}});
    return MOSQ_ERR_SUCCESS;
  }

  void note(const std::string& client, const Breach& breach, const std::string& topic) {
    if (breach.kind == "refused") return;  // what comes while the connection is being closed
    record_.write("breach", client,
                  {{"kind", breach.kind},
                   {"words", breach.words},
                   {"topic", topic},
                   {"refused_ms", breach.refused_ms}});
  }

  Rules rules_;
  Record record_;
  std::set<const mosquitto*> arriving_;  // accepted, not yet seen; none outlives its disconnect
  std::set<std::string> leaving_;        // to be kicked at the next tick
  std::unordered_set<size_t> seen_;      // hashes of what was published
};

// What mosquitto calls: no exception may reach it.
template <class Event>
int call(int /*event*/, void* event, void* plugin) noexcept {
  try {
    return static_cast<Plugin*>(plugin)->on(*static_cast<const Event*>(event));
  } catch (const std::exception& e) {
    mosquitto_log_printf(MOSQ_LOG_ERR, "losant plugin: %s", e.what());
    return MOSQ_ERR_UNKNOWN;
  }
}

std::unique_ptr<Plugin> make_plugin(const mosquitto_opt* options, int count) {
  for (int i = 0; i < count; ++i) {
    if (text(options[i].key) == "settings") {
      return std::make_unique<Plugin>(read_settings(options[i].value));
    }
  }
  throw std::runtime_error("plugin_opt_settings FILE is missing in mosquitto.conf");
}

}  // namespace
}  // namespace fieldpost::losant

#define EXPORTED __attribute__((visibility("default")))

extern "C" {

EXPORTED int mosquitto_plugin_version(int count, const int* versions) {
  for (int i = 0; i < count; ++i) {
    if (versions[i] == MOSQ_PLUGIN_VERSION) return MOSQ_PLUGIN_VERSION;
  }
  return -1;
}

EXPORTED int mosquitto_plugin_init(mosquitto_plugin_id_t* self, void** user_data,
                                   mosquitto_opt* options, int count) {
  using namespace fieldpost::losant;
  try {
    auto plugin = make_plugin(options, count);
    const auto listen = [&](int event, MOSQ_FUNC_generic_callback callback) {
      return mosquitto_callback_register(self, event, callback, nullptr, plugin.get());
    };
    if (listen(MOSQ_EVT_BASIC_AUTH, call<mosquitto_evt_basic_auth>) != MOSQ_ERR_SUCCESS ||
        listen(MOSQ_EVT_ACL_CHECK, call<mosquitto_evt_acl_check>) != MOSQ_ERR_SUCCESS ||
        listen(MOSQ_EVT_MESSAGE, call<mosquitto_evt_message>) != MOSQ_ERR_SUCCESS ||
        listen(MOSQ_EVT_DISCONNECT, call<mosquitto_evt_disconnect>) != MOSQ_ERR_SUCCESS ||
        listen(MOSQ_EVT_TICK, call<mosquitto_evt_tick>) != MOSQ_ERR_SUCCESS) {
      return MOSQ_ERR_NOT_SUPPORTED;
    }
    *user_data = plugin.release();  // until the clean-up
    return MOSQ_ERR_SUCCESS;
  } catch (const std::exception& e) {
    mosquitto_log_printf(MOSQ_LOG_ERR, "losant plugin: %s", e.what());
    return MOSQ_ERR_INVAL;
  }
}

EXPORTED int mosquitto_plugin_cleanup(void* user_data, mosquitto_opt* /*options*/, int /*count*/) {
  delete static_cast<fieldpost::losant::Plugin*>(user_data);
  return MOSQ_ERR_SUCCESS;
}

}  // extern "C"
