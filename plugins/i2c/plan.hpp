// SPDX-License-Identifier: Apache-2.0
//
// What the configuration of an i2c instance asks for.
#pragma once

#include <fieldpost/plugin.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "registers.hpp"

namespace i2c {

struct RegisterRow {
  uint32_t attribute = 0;
  std::optional<uint32_t> command;
  Field field;
};

struct ChipRow {
  uint8_t address = 0;
  std::vector<RegisterRow> registers;
};

struct Plan {
  explicit Plan(fieldpost::sdk::Declare& declare);
  std::string bus;
  std::vector<ChipRow> chips;  // by unit
};

}  // namespace i2c
