// SPDX-License-Identifier: Apache-2.0
//
// The floor of bench/modbus: one program that makes the same requests with libmodbus and nothing
// else.
//   floor PORT UNITS REGISTERS INTERVAL_MS SECONDS
#include <modbus.h>
#include <sys/resource.h>
#include <time.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr int kBlock = 125;  // registers in one request, the protocol's limit

void read_unit(modbus_t* bus, int unit, int registers, std::vector<uint16_t>& values) {
  modbus_set_slave(bus, unit);
  for (int at = 0; at < registers; at += kBlock) {
    const int n = at + kBlock < registers ? kBlock : registers - at;
    if (modbus_read_registers(bus, at, n, values.data() + at) != n) {
      std::fprintf(stderr, "floor: %s\n", modbus_strerror(errno));
      std::exit(1);
    }
  }
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
  const int port = std::atoi(argv[1]);
  const int units = std::atoi(argv[2]);
  const int registers = std::atoi(argv[3]);
  const long interval_ns = std::atol(argv[4]) * 1'000'000;
  const long turns = std::atol(argv[5]) * 1'000'000'000 / interval_ns;
  modbus_t* const bus = modbus_new_tcp("127.0.0.1", port);
  if (bus == nullptr || modbus_connect(bus) != 0) return 1;
  std::vector<uint16_t> values(static_cast<size_t>(registers));
  timespec next{};
  clock_gettime(CLOCK_MONOTONIC, &next);
  const double before = cpu_seconds();
  for (long i = 0; i < turns; ++i) {
    for (int unit = 1; unit <= units; ++unit) read_unit(bus, unit, registers, values);
    next.tv_nsec += interval_ns;
    for (; next.tv_nsec >= 1'000'000'000; next.tv_nsec -= 1'000'000'000) ++next.tv_sec;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr);
  }
  std::printf("%.6f %ld\n", cpu_seconds() - before, turns * units * registers);
  modbus_free(bus);
}
