// SPDX-License-Identifier: Apache-2.0
//
// i2c: the chips on one bus, read every interval and written by command. README.md is its manual.
#include <deque>
#include <set>

#include "chip.hpp"
#include "plan.hpp"
#include "tables.hpp"

namespace i2c {
namespace {

namespace sdk = fieldpost::sdk;

std::set<uint8_t> muxes_of(const Plan& plan) {
  std::set<uint8_t> muxes;
  for (const ChipRow& row : plan.chips) {
    if (row.place.mux) muxes.insert(row.place.mux->address);
  }
  return muxes;
}

class I2c {
 public:
  using Plan = i2c::Plan;

  I2c(sdk::Host&, const Plan& plan) : wire_(plan.bus, muxes_of(plan)), rows_(plan.chips) {
    for (const ChipRow& row : rows_) chips_.emplace_back(wire_, row);
  }

  void poll(sdk::Host& host, unsigned unit) { host.emit(chips_.at(unit).read()); }

  std::optional<sdk::Value> command(sdk::Host& host, const sdk::Call& call) {
    for (Chip& chip : chips_) {
      if (chip.takes(call.command())) return run(host, chip, call);
    }
    throw sdk::ConfigError("no such command");
  }

 private:
  // What the chip says now is a reading as well, also of a command that failed.
  static std::optional<sdk::Value> run(sdk::Host& host, Chip& chip, const sdk::Call& call) {
    std::optional<sdk::Reading> now;
    try {
      chip.run(call, now);
    } catch (...) {
      if (now) host.emit({*now});
      throw;
    }
    if (!now) return std::nullopt;
    host.emit({*now});
    return now->value;
  }

  Wire wire_;
  const std::vector<ChipRow> rows_;  // by unit
  std::deque<Chip> chips_;           // the same; they stay where they are
};

}  // namespace
}  // namespace i2c

FP_PLUGIN(i2c::I2c, {.type = "i2c",
                     .version = "0.1.0",
                     .summary = "Reads and writes the chips on an I2C bus.",
                     .needs = FP_NEEDS_DEVICES,
                     .options = i2c::kOptions,
                     .tables = i2c::kTables,
                     .attributes = i2c::kAttributes,
                     .commands = i2c::kCommands})
