// SPDX-License-Identifier: Apache-2.0
//
// For comparison in bench/modbus: publishes the same payloads with libmosquitto and nothing else.
//   publisher PORT UNITS REGISTERS INTERVAL_MS SECONDS
#include <mosquitto.h>
#include <sys/resource.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

std::string payload(int registers, long turn) {
  std::string text = "{\"time\":1700000000000,\"data\":{";
  for (int i = 0; i < registers; ++i) {
    text +=
        (i > 0 ? ",\"r" : "\"r") + std::to_string(i) + "\":" + std::to_string((turn + i) % 65536);
  }
  return text + "}}";
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto s = [](timeval t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return s(usage.ru_utime) + s(usage.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 64;
  const int units = std::atoi(argv[2]);
  const int registers = std::atoi(argv[3]);
  const long interval_ns = std::atol(argv[4]) * 1'000'000;
  const long turns = std::atol(argv[5]) * 1'000'000'000 / interval_ns;
  mosquitto_lib_init();
  mosquitto* const client = mosquitto_new("bare", true, nullptr);
  mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
  if (mosquitto_connect(client, "127.0.0.1", std::atoi(argv[1]), 60) != MOSQ_ERR_SUCCESS) return 1;
  mosquitto_loop_start(client);
  timespec next{};
  clock_gettime(CLOCK_MONOTONIC, &next);
  const double before = cpu_seconds();
  for (long i = 0; i < turns; ++i) {
    const std::string body = payload(registers, i);
    for (int unit = 1; unit <= units; ++unit) {
      const std::string topic = "bare/" + std::to_string(unit) + "/state";
      mosquitto_publish(client, nullptr, topic.c_str(), static_cast<int>(body.size()), body.data(),
                        1, false);
    }
    next.tv_nsec += interval_ns;
    for (; next.tv_nsec >= 1'000'000'000; next.tv_nsec -= 1'000'000'000) ++next.tv_sec;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr);
  }
  std::printf("%.6f %ld\n", cpu_seconds() - before, turns * units * registers);
  mosquitto_disconnect(client);
  mosquitto_loop_stop(client, true);
  mosquitto_destroy(client);
}
