// SPDX-License-Identifier: Apache-2.0
//
// The profiles of meters that are installed, against a server by pymodbus with their registers.
#include <gtest/gtest.h>

#include <map>

#include "modbus_rows.hpp"
#include "plugins/profile_row.hpp"

namespace fieldpost::modbus_test {
namespace {

using fakes::ModbusServer;

TEST(ModbusProfiles, Sdm72dm) {
  // Numbers of the manual's table, and what is to come out of them.
  const std::map<int, std::pair<std::string, double>> meter = {
      {30053, {"power", -1250.5}},
      {30073, {"energy_import", 1234.5}},
      {30075, {"energy_export", 0.25}},
      {30343, {"energy_total", 1234.75}},
      {30385, {"energy_total_resettable", 12.5}},
      {30389, {"energy_import_resettable", 8.5}},
      {30391, {"energy_export_resettable", 4}},
      {31281, {"power_import", 0}},
      {31283, {"power_export", 1250.5}}};
  ModbusServer server({"--do", "limit 1 60"});
  for (const auto& [number, what] : meter) {
    server.tell("float 1 input " + std::to_string(number - 30001) + " " +
                std::to_string(what.second));
  }
  const Row row = fakes::profile_row("modbus", "sdm72d-m", Row({{"address", 1}}));
  FakeHost host({{"url", server.url()}}, {{"unit", {row}}});
  ASSERT_EQ(host.open(), FP_OK) << host.trouble();
  ASSERT_EQ(host.poll(), FP_OK) << host.trouble();
  for (const auto& [number, what] : meter) {
    EXPECT_EQ(host.number(what.first), what.second) << number;
  }
  EXPECT_EQ(host.attributes.size(), meter.size());
  server.tell("log");
  ASSERT_EQ(host.poll(), FP_OK);
  EXPECT_EQ(server.tell("log").find(":3:"), std::string::npos) << "input registers, function 4";
}

}  // namespace
}  // namespace fieldpost::modbus_test
