// SPDX-License-Identifier: Apache-2.0
#include "registers.hpp"

#include <bit>
#include <cmath>

#include "../common/rounding.hpp"

namespace i2c {
namespace {

// The field's bits after the shift: its width is that of the highest one.
uint32_t field_mask(const Field& field) {
  return (field.mask & full_mask(field.bytes)) >> field.shift;
}

}  // namespace

uint32_t to_word(const Field& field, std::span<const uint8_t> bytes) {
  uint32_t word = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    word = word << 8 | bytes[field.big_endian ? i : bytes.size() - 1 - i];
  }
  return word;
}

void to_bytes(const Field& field, uint32_t word, std::span<uint8_t> ret) {
  for (size_t i = 0; i < ret.size(); ++i) {
    ret[field.big_endian ? ret.size() - 1 - i : i] = static_cast<uint8_t>(word >> (8 * i));
  }
}

int64_t min_count(const Field& field) {
  const auto width = static_cast<int>(std::bit_width(field_mask(field)));
  return field.is_signed && width > 0 ? -(int64_t{1} << (width - 1)) : 0;
}

int64_t max_count(const Field& field) {
  const uint32_t mask = field_mask(field);
  return field.is_signed ? int64_t{mask >> 1} : int64_t{mask};
}

int64_t count_of(const Field& field, uint32_t word) {
  const int64_t count = (word & field.mask & full_mask(field.bytes)) >> field.shift;
  return field.is_signed && count > max_count(field)
             ? count - (int64_t{1} << std::bit_width(field_mask(field)))
             : count;
}

uint32_t with_count(const Field& field, uint32_t word, int64_t count) {
  const uint32_t mask = field.mask & full_mask(field.bytes);
  return (word & ~mask) | (static_cast<uint32_t>(count) << field.shift & mask);
}

double to_number(const Field& field, int64_t count) {
  return scaled(field, static_cast<double>(count));
}

double scaled(const Field& field, double number) {
  const double exact = number * field.scale + field.offset;
  return field.decimals < 0 ? exact : plugin_common::rounded(exact, field.decimals);
}

int64_t to_count(const Field& field, double number) {
  const double count = std::round((number - field.offset) / field.scale);
  constexpr double kLimit = 9e18;
  return static_cast<int64_t>(std::fmin(std::fmax(count, -kLimit), kLimit));
}

}  // namespace i2c
