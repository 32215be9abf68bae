// SPDX-License-Identifier: Apache-2.0
//
// What the raw numbers of a BME280 or BMP280 mean, by its calibration. Pure.
#pragma once

#include <cstdint>
#include <span>

namespace i2c::bme280 {

// Bosch BST-BME280-DS002, table 16, Compensation parameter storage; the BMP280 has T and P alone,
// at the same place.
struct Calibration {
  uint16_t t1 = 0;
  int16_t t2 = 0, t3 = 0;
  uint16_t p1 = 0;
  int16_t p2 = 0, p3 = 0, p4 = 0, p5 = 0, p6 = 0, p7 = 0, p8 = 0, p9 = 0;
  uint8_t h1 = 0;
  int16_t h2 = 0;
  uint8_t h3 = 0;
  int16_t h4 = 0, h5 = 0;  // twelve bits
  int8_t h6 = 0;
};

// From the registers 0x88 to 0x9F; and 0xA1, 0xE1 to 0xE7.
void read_pressure_part(std::span<const uint8_t, 24> bytes, Calibration& ret);
void read_humidity_part(uint8_t a1, std::span<const uint8_t, 7> bytes, Calibration& ret);

// BST-BME280-DS002, appendix A 4.2.1 and BST-BMP280-DS001, 8.1: compensation in double precision.
// `fine` is the temperature as the other two take it.
double temperature(const Calibration& c, int32_t raw, double& ret_fine);  // degC
// Pa; NaN if the calibration makes no sense.
double pressure(const Calibration& c, int32_t raw, double fine);
double humidity(const Calibration& c, int32_t raw, double fine);  // %, 0 to 100

}  // namespace i2c::bme280
