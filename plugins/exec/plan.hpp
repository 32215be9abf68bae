// SPDX-License-Identifier: Apache-2.0
//
// What the configuration of an exec instance asks for.
#pragma once

#include <fieldpost/plugin.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol.hpp"
#include "start.hpp"

namespace exec {

enum class Mode : uint8_t { Stream, Poll };

struct CommandRow {
  std::string name;
  uint32_t argument = 0;           // FP_NUMBER, …; 0: it has none
  std::optional<size_t> readback;  // into Plan::readings
};

struct Plan {
  explicit Plan(fieldpost::sdk::Declare& declare);
  Mode mode = Mode::Stream;
  ProgramSpec program;
  int64_t timeout = 0;  // nanoseconds, as the others
  std::optional<int64_t> silence;
  int64_t command_timeout = 0;
  std::vector<Declared> readings;
  std::vector<CommandRow> commands;  // by the index that calls carry
};

}  // namespace exec
