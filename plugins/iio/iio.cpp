// SPDX-License-Identifier: Apache-2.0
//
// iio: chips that a driver of the kernel has, through sysfs: iio and hwmon. README.md is its
// manual.
#include <string>
#include <vector>

#include "channels.hpp"
#include "plan.hpp"
#include "tables.hpp"

namespace iio {
namespace {

namespace sdk = fieldpost::sdk;

class Iio {
 public:
  using Plan = iio::Plan;

  Iio(sdk::Host&, const Plan& plan) : plan_(plan) {}

  void poll(sdk::Host& host, unsigned unit) {
    const ChipRow& chip = plan_.chips.at(unit);
    const std::filesystem::path folder = find_chip(plan_.sys, chip.wanted);
    std::vector<sdk::Reading> readings;
    std::string fault;  // the first
    size_t failed = 0;
    for (const ChannelRow& row : chip.channels) {
      try {
        readings.push_back(read_channel(folder, row));
      } catch (const sdk::IoError& e) {
        const std::string why = words_of(chip.wanted) + " " + row.channel + ": " + e.what();
        if (failed++ == 0) fault = why;
        readings.push_back({row.attribute, nothing(row), FP_COMM_ERROR, why});
      }
    }
    if (failed == readings.size()) throw sdk::IoError(fault);
    host.emit(readings);
  }

 private:
  const Plan plan_;
};

}  // namespace
}  // namespace iio

FP_PLUGIN(iio::Iio, {.type = "iio",
                     .version = "0.1.0",
                     .summary = "Reads the chips that drivers of the kernel have: iio, hwmon, "
                                "1-wire thermometers.",
                     .options = iio::kOptions,
                     .tables = iio::kTables,
                     .attributes = iio::kAttributes})
