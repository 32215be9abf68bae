// SPDX-License-Identifier: Apache-2.0
//
// What the configuration of an iio instance asks for.
#pragma once

#include <fieldpost/plugin.hpp>

#include <filesystem>
#include <vector>

#include "channels.hpp"
#include "chips.hpp"

namespace iio {

struct ChipRow {
  Wanted wanted;
  std::vector<ChannelRow> channels;
};

struct Plan {
  explicit Plan(fieldpost::sdk::Declare& declare);
  std::filesystem::path sys;
  std::vector<ChipRow> chips;  // by unit
};

}  // namespace iio
