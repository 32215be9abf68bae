// SPDX-License-Identifier: Apache-2.0
//
// Reading a channel of a chip.
#pragma once

#include <fieldpost/plugin.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

#include "quantities.hpp"

namespace iio {

struct ChannelRow {
  uint32_t attribute = 0;
  std::string channel;
  std::string item;
  bool is_boolean = false;
  Quantity quantity;
  double scale = 1;  // value = what the kernel says, in the quantity's unit, * scale + offset
  double offset = 0;
  int decimals = -1;  // rounded to; -1: not
};

// Reads it from the chip's folder. FP_OUT_OF_RANGE: the chip answered, and says, or shows, that
// what it gives is no measurement. May block: a DS18B20 takes 750 ms, and twice that when it says
// 85 degC. Throws IoError: there is no value, and why.
fieldpost::sdk::Reading read_channel(const std::filesystem::path& folder, const ChannelRow& row);

// In the place of a value that there is not.
fieldpost::sdk::Value nothing(const ChannelRow& row);

}  // namespace iio
