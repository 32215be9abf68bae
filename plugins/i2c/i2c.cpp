// SPDX-License-Identifier: Apache-2.0
//
// i2c: registers of the chips on one bus, read every interval and written by command. README.md is
// its manual.
#include <array>
#include <cerrno>
#include <cstdio>

#include "bus.hpp"
#include "plan.hpp"
#include "tables.hpp"

namespace i2c {
namespace {

namespace sdk = fieldpost::sdk;

std::string hex(unsigned number) {
  std::array<char, 8> text{};
  (void)std::snprintf(text.data(), text.size(), "0x%02X", number);
  return text.data();
}

// Passing faults, of a line that has caught a spike.
bool is_worth_a_retry(int code) {
  return code == EREMOTEIO || code == ENXIO || code == ETIMEDOUT || code == EAGAIN;
}

// The adapter is gone (a USB one, unplugged); opening it again may help.
bool is_bus_lost(int code) { return code == ENODEV || code == ESHUTDOWN || code == EBADF; }

// Every further transfer would wait as long and fail as well: nobody on this bus can speak.
bool is_bus_dead(int code) { return code == ETIMEDOUT || is_bus_lost(code); }

class I2c {
 public:
  using Plan = i2c::Plan;

  I2c(sdk::Host&, const Plan& plan) : bus_name_(plan.bus), chips_(plan.chips) {}

  void poll(sdk::Host& host, unsigned unit) {
    const ChipRow& chip = chips_.at(unit);
    std::vector<sdk::Reading> readings;
    std::string fault;  // of the first register that failed
    bool dead = false;
    size_t failed = 0;
    for (const RegisterRow& row : chip.registers) {
      try {
        if (dead) throw BusError(ETIMEDOUT, "not read, because of " + fault);
        readings.push_back(
            {row.attribute, value_of(row.field, read(chip, row.field)), FP_GOOD, {}});
      } catch (const BusError& e) {
        ++failed;
        dead = dead || is_bus_dead(e.code());
        if (fault.empty()) fault = e.what();
        readings.push_back({row.attribute, nothing(row.field), FP_COMM_ERROR, e.what()});
      }
    }
    if (failed == readings.size()) throw sdk::IoError(fault);
    host.emit(readings);
  }

  std::optional<sdk::Value> command(sdk::Host& host, const sdk::Call& call) {
    for (const ChipRow& chip : chips_) {
      for (const RegisterRow& row : chip.registers) {
        if (row.command == call.command()) return write(host, chip, row, call);
      }
    }
    throw sdk::ConfigError("no such command");
  }

 private:
  static sdk::Value value_of(const Field& field, uint32_t word) {
    const int64_t count = count_of(field, word);
    if (field.is_boolean) return count != 0;
    return to_number(field, count);
  }
  // In the place of a value that there is not.
  static sdk::Value nothing(const Field& field) {
    if (field.is_boolean) return false;
    return 0.0;
  }

  sdk::Value write(sdk::Host& host, const ChipRow& chip, const RegisterRow& row,
                   const sdk::Call& call) {
    const Field& field = row.field;
    const int64_t wanted = field.is_boolean ? (call.boolean(0) ? max_count(field) : 0)
                                            : to_count(field, call.number(0));
    if (wanted < min_count(field) || wanted > max_count(field)) {
      throw sdk::ConfigError(where(chip, field) + ": the value does not fit");
    }
    try {
      // Bits of the register that are not ours stay as they are.
      const bool whole = (field.mask & full_mask(field.bytes)) == full_mask(field.bytes);
      const uint32_t word = with_count(field, whole ? 0 : read(chip, field), wanted);
      std::array<uint8_t, 5> out{field.reg};
      to_bytes(field, word, std::span(out).subspan(1, field.bytes));
      transfer(chip, field, std::span(out).first(1 + field.bytes), {});
      const uint32_t now = read(chip, field);
      const sdk::Value value = value_of(field, now);
      host.emit(row.attribute, value);
      if (count_of(field, now) != wanted) {
        throw sdk::IoError(where(chip, field) + ": was set to " + std::to_string(wanted) +
                           " but reads " + std::to_string(count_of(field, now)));
      }
      return value;
    } catch (const BusError& e) {
      throw sdk::IoError(e.what());
    }
  }

  uint32_t read(const ChipRow& chip, const Field& field) {
    const std::array<uint8_t, 1> out{field.reg};
    std::array<uint8_t, 4> in{};
    const std::span<uint8_t> bytes = std::span(in).first(field.bytes);
    transfer(chip, field, out, bytes);
    return to_word(field, bytes);
  }

  // Errors: BusError, naming chip and register.
  void transfer(const ChipRow& chip, const Field& field, std::span<const uint8_t> out,
                std::span<uint8_t> in) {
    for (int attempt = 0;; ++attempt) {
      try {
        if (!bus_) bus_ = open_bus(bus_name_);
        bus_->transfer(chip.address, out, in);
        return;
      } catch (const BusError& e) {
        if (!bus_) throw BusError(ENODEV, e.what());  // it could not be opened
        if (attempt == 0 && is_worth_a_retry(e.code())) continue;
        if (is_bus_lost(e.code())) bus_.reset();
        throw BusError(e.code(), where(chip, field) + ": " + e.what());
      }
    }
  }

  std::string where(const ChipRow& chip, const Field& field) const {
    constexpr std::string_view kPrefix = "/dev/i2c-";
    const std::string path = bus_path(bus_name_);
    return "i2c " + (path.starts_with(kPrefix) ? path.substr(kPrefix.size()) : path) + " chip " +
           hex(chip.address) + " register " + hex(field.reg);
  }

  std::string bus_name_;
  std::unique_ptr<Bus> bus_;  // none while it cannot be opened
  std::vector<ChipRow> chips_;
};

}  // namespace
}  // namespace i2c

FP_PLUGIN(i2c::I2c, {.type = "i2c",
                     .version = "0.1.0",
                     .summary = "Reads and writes registers of the chips on an I2C bus.",
                     .needs = FP_NEEDS_DEVICES,
                     .options = i2c::kOptions,
                     .tables = i2c::kTables,
                     .attributes = i2c::kAttributes,
                     .commands = i2c::kCommands})
