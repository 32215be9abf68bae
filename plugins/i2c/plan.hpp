// SPDX-License-Identifier: Apache-2.0
//
// What the configuration of an i2c instance asks for.
#pragma once

#include <fieldpost/plugin.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "driver.hpp"
#include "link.hpp"
#include "registers.hpp"

namespace i2c {

struct RegisterRow {
  uint32_t attribute = 0;
  std::optional<uint32_t> command;
  Field field;
};

struct ValueRow {
  uint32_t attribute = 0;
  std::optional<uint32_t> command;
  Field field;  // scale, offset, decimals and is_boolean alone
};

struct InitRow {
  Field field;  // register, width and endianness alone
  uint32_t value = 0;
};

struct ChipRow {
  Place place;
  std::vector<InitRow> init;
  std::vector<RegisterRow> registers;
  const Driver::Kind* driver = nullptr;  // none: registers are all there is
  Setup setup;                           // what the driver is to do for `values`, in their order
  std::vector<ValueRow> values;
};

struct Plan {
  explicit Plan(fieldpost::sdk::Declare& declare);
  std::string bus;
  std::vector<ChipRow> chips;  // by unit
};

}  // namespace i2c
