// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the Modbus plugin against servers share: rows of a configuration, and waiting.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "fakes/fake_host.hpp"
#include "fakes/test_env.hpp"

namespace fieldpost::modbus_test {

using fakes::FakeHost;
using fakes::Row;
using std::chrono::milliseconds;
using test::eventually;
using Clock = std::chrono::steady_clock;

inline Row reg(const std::string& attribute, const char* table, int address,
               const std::vector<Row::Pair>& more = {}) {
  Row row{{"attribute", attribute}, {"table", table}, {"address", address}};
  for (const Row::Pair& p : more) row.values[p.name] = p.value;
  return row;
}

inline Row unit(int address, std::vector<Row> registers) {
  return Row({{"address", address}}, {{"register", std::move(registers)}});
}

// "holding 100": which of the attributes r0, r1 … in a run of registers.
inline std::vector<Row> run_of(int first, int n) {
  std::vector<Row> rows;
  for (int i = 0; i < n; ++i) rows.push_back(reg("r" + std::to_string(i), "holding", first + i));
  return rows;
}

inline milliseconds duration_of(const std::function<void()>& action) {
  const auto start = Clock::now();
  action();
  return std::chrono::duration_cast<milliseconds>(Clock::now() - start);
}

// Whether every good reading of the attribute that was ever taken has this value.
inline bool always(const FakeHost& host, const std::string& attribute, double value) {
  for (const auto& sample : host.samples) {
    for (const auto& r : sample.readings) {
      if (r.attribute == attribute && r.quality == FP_GOOD && r.value != Value(value)) return false;
    }
  }
  return true;
}

}  // namespace fieldpost::modbus_test
