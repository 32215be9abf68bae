// SPDX-License-Identifier: Apache-2.0
//
// The floor of the daemon in bench/modbus: publishes the same payloads with libmosquitto, and
// nothing else. It is linked with all libraries of the daemon, so that its memory is what a program
// with these libraries and one connection needs. Arguments: paced.hpp.
#include <mosquitto.h>

#include <array>
#include <ctime>
#include <string>

#include "paced.hpp"

namespace {

// As the agent's; the values are those that run.py puts into the registers.
std::string payload(int registers) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  std::string text =
      "{\"time\":" + std::to_string(now.tv_sec * 1'000 + now.tv_nsec / 1'000'000) + ",\"data\":{";
  for (int i = 0; i < registers; ++i) {
    text += (i > 0 ? ",\"r" : "\"r") + std::to_string(i) + "\":" + std::to_string(1'000 + i);
  }
  return text + "}}";
}

std::string topic(int unit) {
  std::array<char, 64> text{};
  (void)std::snprintf(text.data(), text.size(), "losant/%024x/state", static_cast<unsigned>(unit));
  return text.data();
}

}  // namespace

int main(int argc, char** argv) {
  const Load load = parse_load(argc, argv);
  mosquitto_lib_init();
  mosquitto* const client = mosquitto_new("bare", true, nullptr);
  mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
  if (mosquitto_connect(client, "127.0.0.1", load.port, 60) != MOSQ_ERR_SUCCESS) return 1;
  mosquitto_loop_start(client);
  run_paced(load, [&] {
    for (int unit = 1; unit <= load.units; ++unit) {
      const std::string body = payload(load.registers);
      mosquitto_publish(client, nullptr, topic(unit).c_str(), static_cast<int>(body.size()),
                        body.data(), 1, false);
    }
  });
  mosquitto_disconnect(client);
  mosquitto_loop_stop(client, true);
  mosquitto_destroy(client);
}
