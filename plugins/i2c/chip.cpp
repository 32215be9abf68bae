// SPDX-License-Identifier: Apache-2.0
#include "chip.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <utility>

namespace i2c {
namespace {

namespace sdk = fieldpost::sdk;

sdk::Value value_of(const Field& field, uint32_t word) {
  const int64_t count = count_of(field, word);
  if (field.is_boolean) return count != 0;
  return to_number(field, count);
}

// In the place of a value that there is not.
sdk::Value nothing(bool is_boolean) {
  if (is_boolean) return false;
  return 0.0;
}

sdk::Reading to_reading(const ValueRow& row, Measured measured) {
  if (measured.quality != FP_GOOD) {
    return {row.attribute, nothing(row.field.is_boolean), measured.quality,
            std::move(measured.detail)};
  }
  if (const auto* number = std::get_if<double>(&measured.value)) {
    measured.value = scaled(row.field, *number);
  }
  return {row.attribute, std::move(measured.value), FP_GOOD, {}};
}

std::string words_of(bool on) { return on ? "true" : "false"; }

}  // namespace

Chip::Chip(Wire& wire, const ChipRow& row)
    : link_(wire, row.place),
      row_(&row),
      driver_(row.driver != nullptr ? row.driver->make(row.setup) : nullptr) {}

void Chip::start() {
  if (started_) return;
  for (const InitRow& init : row_->init) write(init.field, init.value);
  if (driver_) driver_->start(link_);
  started_ = true;
}

std::vector<sdk::Reading> Chip::read() {
  dead_ = false;
  fault_.clear();
  std::vector<sdk::Reading> readings;
  try {
    start();
  } catch (const BusError& e) {
    throw sdk::IoError(e.what());
  }
  read_registers(readings);
  read_values(readings);
  const bool any = std::ranges::any_of(
      readings, [](const sdk::Reading& r) { return r.quality != FP_COMM_ERROR; });
  if (any) return readings;
  started_ = false;
  throw sdk::IoError(fault_);
}

void Chip::add_fault(uint32_t attribute, bool is_boolean, const std::string& why,
                     std::vector<sdk::Reading>& ret) {
  if (fault_.empty()) fault_ = why;
  ret.push_back({attribute, nothing(is_boolean), FP_COMM_ERROR, why});
}

void Chip::read_registers(std::vector<sdk::Reading>& ret) {
  for (const RegisterRow& row : row_->registers) {
    try {
      if (dead_) throw BusError(ETIMEDOUT, "not read, because of " + fault_);
      ret.push_back({row.attribute, value_of(row.field, read(row.field)), FP_GOOD, {}});
    } catch (const BusError& e) {
      dead_ = dead_ || is_bus_dead(e.code());
      add_fault(row.attribute, row.field.is_boolean, e.what(), ret);
    }
  }
}

void Chip::read_values(std::vector<sdk::Reading>& ret) {
  if (!driver_) return;
  try {
    if (dead_) throw BusError(ETIMEDOUT, "not read, because of " + fault_);
    std::vector<Measured> all = driver_->read(link_);
    for (size_t i = 0; i < all.size(); ++i) {
      ret.push_back(to_reading(row_->values[i], std::move(all[i])));
    }
  } catch (const BusError& e) {
    started_ = false;
    for (const ValueRow& row : row_->values) {
      add_fault(row.attribute, row.field.is_boolean, e.what(), ret);
    }
  }
}

bool Chip::takes(uint32_t command) const {
  const auto has = [&](const auto& row) { return row.command == command; };
  return std::ranges::any_of(row_->registers, has) || std::ranges::any_of(row_->values, has);
}

void Chip::run(const sdk::Call& call, std::optional<sdk::Reading>& ret_reading) {
  try {
    start();
    for (const RegisterRow& row : row_->registers) {
      if (row.command == call.command()) return write_register(row, call, ret_reading);
    }
    for (size_t i = 0; i < row_->values.size(); ++i) {
      if (row_->values[i].command == call.command()) {
        return write_value(i, call.boolean(0), ret_reading);
      }
    }
  } catch (const BusError& e) {
    throw sdk::IoError(e.what());
  }
}

void Chip::write_register(const RegisterRow& row, const sdk::Call& call,
                          std::optional<sdk::Reading>& ret_reading) {
  const Field& field = row.field;
  const std::string where = link_.where() + " register " + hex(field.reg);
  const int64_t wanted =
      field.is_boolean ? (call.boolean(0) ? max_count(field) : 0) : to_count(field, call.number(0));
  if (wanted < min_count(field) || wanted > max_count(field)) {
    throw sdk::ConfigError(where + ": the value does not fit");
  }
  // Bits of the register that are not ours stay as they are, also when another instance has them.
  const std::lock_guard<Link> together(link_);
  const bool whole = (field.mask & full_mask(field.bytes)) == full_mask(field.bytes);
  write(field, with_count(field, whole ? 0 : read(field), wanted));
  const uint32_t now = read(field);
  ret_reading = {row.attribute, value_of(field, now), FP_GOOD, {}};
  if (count_of(field, now) != wanted) {
    throw sdk::IoError(where + ": was set to " + std::to_string(wanted) + " but reads " +
                       std::to_string(count_of(field, now)));
  }
}

void Chip::write_value(size_t index, bool on, std::optional<sdk::Reading>& ret_reading) {
  driver_->write(link_, index, on);
  const Measured now = driver_->read(link_).at(index);
  ret_reading = to_reading(row_->values[index], now);
  if (now.value != sdk::Value(on)) {
    throw sdk::IoError(link_.where() + " " +
                       std::string(row_->driver->channels[row_->setup.wanted[index].channel].name) +
                       ": was set to " + words_of(on) + " but the pin is " + words_of(!on));
  }
}

uint32_t Chip::read(const Field& field) {
  std::array<uint8_t, 4> in{};
  const std::span<uint8_t> bytes = std::span(in).first(field.bytes);
  link_.read(field.reg, bytes);
  return to_word(field, bytes);
}

void Chip::write(const Field& field, uint32_t word) {
  std::array<uint8_t, 5> out{field.reg};
  to_bytes(field, word, std::span(out).subspan(1, field.bytes));
  link_.transfer(std::span(out).first(1 + field.bytes), {});
}

}  // namespace i2c
