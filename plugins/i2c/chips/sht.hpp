// SPDX-License-Identifier: Apache-2.0
//
// What SHT3x and SHT4x send. Pure.
#pragma once

#include <cstdint>
#include <span>

namespace i2c::sht {

// Sensirion, Datasheet SHT3x-DIS, table 20: polynomial 0x31, initialised with 0xFF; the same for
// SHT4x. It gives 0x92 for 0xBEEF.
uint8_t crc(std::span<const uint8_t> bytes);

double temperature(uint16_t ticks);  // degC; SHT3x 4.13, SHT4x 4.6
double humidity3(uint16_t ticks);    // %; SHT3x 4.13
double humidity4(uint16_t ticks);    // %, cropped to 0 to 100 as SHT4x 4.6 has it

}  // namespace i2c::sht
