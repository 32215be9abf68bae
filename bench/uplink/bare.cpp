// SPDX-License-Identifier: Apache-2.0
//
// The floor of bench/uplink: libmosquitto in a loop of its own, which always has a window full of
// the same message on its way.
//
//   uplink_bare --port N [--ca FILE] [--window N] [--bytes N] [--seconds N]
#include <mosquitto.h>

#include <string>

#include "rate.hpp"

namespace {

struct State {
  int64_t acknowledged = 0;
  int in_flight = 0;
  bool connected = false;
};

int run(const Arguments& given) {
  State state;
  mosquitto* const client = mosquitto_new("bare", true, &state);
  mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
  const int window = given.number("window", 20);
  mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, window);
  mosquitto_connect_callback_set(client, [](mosquitto*, void* user, int code) {
    static_cast<State*>(user)->connected = code == 0;
  });
  mosquitto_publish_callback_set(client, [](mosquitto*, void* user, int) {
    auto* s = static_cast<State*>(user);
    --s->in_flight;
    ++s->acknowledged;
  });
  const std::string ca = given.text("ca");
  if (!ca.empty()) mosquitto_tls_set(client, ca.c_str(), nullptr, nullptr, nullptr, nullptr);
  if (mosquitto_connect(client, "127.0.0.1", given.number("port", 1883), 60) != MOSQ_ERR_SUCCESS) {
    return 1;
  }
  const std::string payload(static_cast<size_t>(given.number("bytes", 2000)), 'x');
  const auto publish = [&] {
    while (state.connected && state.in_flight < window) {
      ++state.in_flight;
      mosquitto_publish(client, nullptr, "losant/575ecf887ae143cd83dc4aa2/state",
                        static_cast<int>(payload.size()), payload.data(), 1, false);
    }
  };
  // First what a connection does once.
  while (state.acknowledged < int64_t{5} * window) {
    if (mosquitto_loop(client, 1000, 1) != MOSQ_ERR_SUCCESS) return 1;
    publish();
  }
  const Meter meter(state.acknowledged, 0);
  while (meter.seconds() < given.number("seconds", 3)) {
    if (mosquitto_loop(client, 1000, 1) != MOSQ_ERR_SUCCESS) return 1;
    publish();
  }
  meter.print(state.acknowledged, state.acknowledged * static_cast<int64_t>(payload.size()));
  mosquitto_destroy(client);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  mosquitto_lib_init();
  return run(Arguments(argc, argv));
}
