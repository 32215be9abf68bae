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
#include "fakes/modbus_server.hpp"
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

// Units 3 ("a", which counts its reads, and "c", which is 40000) and 4 ("b", which counts too),
// with a time-out below 450 ms. Late answers come while unit 3 is asked again, or unit 4, by turns.
inline void expect_no_late_answer_taken(FakeHost& host, fakes::ModbusServer& server, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    server.tell("delay 3 0.45 2");
    host.poll(0);
    if (i % 2 == 1) {
      ASSERT_EQ(host.poll(1), FP_OK) << host.trouble();
      EXPECT_EQ(host.number("b", 1), std::stod(server.tell("get 4 holding 0")));
    }
    ASSERT_TRUE(eventually([&] { return host.poll(0) == FP_OK && host.number("a", 0); }));
    EXPECT_EQ(host.number("a", 0), std::stod(server.tell("get 3 holding 0")));
    ASSERT_TRUE(always(host, "c", 40000));
  }
}

}  // namespace fieldpost::modbus_test
