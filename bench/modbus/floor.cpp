// SPDX-License-Identifier: Apache-2.0
//
// The floor of a plugin host in bench/modbus: makes the same requests with libmodbus, and nothing
// else. Arguments: paced.hpp.
#include <modbus.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include "paced.hpp"

namespace {

constexpr int kBlock = 125;  // registers in one request, the protocol's limit

void read_unit(modbus_t* bus, int unit, std::vector<uint16_t>& values) {
  modbus_set_slave(bus, unit);
  const int registers = static_cast<int>(values.size());
  for (int at = 0; at < registers; at += kBlock) {
    const int n = at + kBlock < registers ? kBlock : registers - at;
    if (modbus_read_registers(bus, at, n, values.data() + at) != n) {
      (void)std::fprintf(stderr, "floor: %s\n", modbus_strerror(errno));
      std::_Exit(1);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Load load = parse_load(argc, argv);
  modbus_t* const bus = modbus_new_tcp("127.0.0.1", load.port);
  if (bus == nullptr || modbus_connect(bus) != 0) return 1;
  std::vector<uint16_t> values(static_cast<size_t>(load.registers));
  run_paced(load, [&] {
    for (int unit = 1; unit <= load.units; ++unit) read_unit(bus, unit, values);
  });
  modbus_free(bus);
}
