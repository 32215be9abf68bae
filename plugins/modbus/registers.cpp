// SPDX-License-Identifier: Apache-2.0
#include "registers.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "../common/rounding.hpp"

namespace fieldpost::modbus {
namespace {

constexpr std::array<std::string_view, 4> kTables = {"coil", "discrete", "input", "holding"};
constexpr std::array<std::string_view, 7> kTypes = {"bool",  "bit",    "int16",  "uint16",
                                                    "int32", "uint32", "float32"};

template <class Enum, size_t N>
std::optional<Enum> find(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto* const it = std::ranges::find(names, name);
  if (it == names.end()) return {};
  return static_cast<Enum>(it - names.begin());
}

uint16_t ordered(const Register& reg, uint16_t word) {
  return reg.low_byte_first ? static_cast<uint16_t>(word << 8 | word >> 8) : word;
}

// The bits of the value, in the low end.
uint32_t join(const Register& reg, std::span<const uint16_t> words) {
  const uint32_t first = ordered(reg, words[0]);
  if (reg.width() == 1) return first;
  const uint32_t second = ordered(reg, words[1]);
  return reg.low_word_first ? second << 16 | first : first << 16 | second;
}

std::vector<uint16_t> split(const Register& reg, uint32_t bits) {
  const uint16_t low = ordered(reg, static_cast<uint16_t>(bits & 0xFFFF));
  if (reg.width() == 1) return {low};
  const uint16_t high = ordered(reg, static_cast<uint16_t>(bits >> 16));
  if (reg.low_word_first) return {low, high};
  return {high, low};
}

// The double that reads as the float does: 21.6, not 21.600000381469727. It is what the device
// meant, and a third of the bytes in the store and on the line.
double widen(float f) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), f);
  double d = f;
  std::from_chars(text.data(), end.ptr, d);
  return d;
}

// raw × scale without the dirt of 0.1: dividing by 10 gives the nearest double to the decimal.
double scaled(double raw, double scale) {
  if (scale == 1) return raw;  // most are
  const double divisor = std::round(1 / scale);
  if (std::abs(scale) < 1 && std::abs(divisor * scale - 1) < 1e-12) return raw / divisor;
  return raw * scale;
}

struct Limits {
  double min, max;
};
Limits raw_limits(Type type) {
  switch (type) {
    case Type::Bool:
    case Type::Bit:
      return {0, 1};
    case Type::Int16:
      return {-32768, 32767};
    case Type::Uint16:
      return {0, 65535};
    case Type::Int32:
      return {-2147483648.0, 2147483647.0};
    case Type::Uint32:
      return {0, 4294967295.0};
    case Type::Float32:
      break;
  }
  return {-std::numeric_limits<float>::max(), std::numeric_limits<float>::max()};
}

}  // namespace

std::string_view name_of(Table table) { return kTables.at(static_cast<size_t>(table)); }
std::string_view name_of(Type type) { return kTypes.at(static_cast<size_t>(type)); }
std::optional<Table> to_table(std::string_view name) { return find<Table>(kTables, name); }
std::optional<Type> to_type(std::string_view name) { return find<Type>(kTypes, name); }

std::string to_text(Table table, uint32_t address) {
  return std::string(name_of(table)) + " " + std::to_string(address);
}

std::optional<double> decode(const Register& reg, std::span<const uint16_t> words) {
  const uint32_t bits = join(reg, words);
  double raw = bits;
  switch (reg.type) {
    case Type::Bool:
      return bits != 0 ? 1 : 0;
    case Type::Bit:
      return bits >> reg.bit & 1;
    case Type::Int16:
      raw = static_cast<int16_t>(bits);
      break;
    case Type::Int32:
      raw = static_cast<int32_t>(bits);
      break;
    case Type::Float32: {
      const auto f = std::bit_cast<float>(bits);
      if (!std::isfinite(f)) return {};
      raw = widen(f);
      break;
    }
    case Type::Uint16:
    case Type::Uint32:
      break;
  }
  const double value = scaled(raw, reg.scale) + reg.offset;
  if (!std::isfinite(value)) return {};
  return reg.decimals ? plugin_common::rounded(value, *reg.decimals) : value;
}

std::optional<std::vector<uint16_t>> encode(const Register& reg, double value, uint16_t now) {
  if (reg.type == Type::Bit) {
    const auto mask = static_cast<uint16_t>(1U << reg.bit);
    const uint16_t word = ordered(reg, now);
    return split(reg, value != 0 ? word | mask : word & ~mask);
  }
  if (reg.type == Type::Bool) return split(reg, value != 0 ? 1 : 0);
  double raw = (value - reg.offset) / reg.scale;
  const Limits limits = raw_limits(reg.type);
  if (reg.type != Type::Float32) raw = std::round(raw);
  if (!(raw >= limits.min && raw <= limits.max)) return {};
  if (reg.type == Type::Float32) {
    return split(reg, std::bit_cast<uint32_t>(static_cast<float>(raw)));
  }
  return split(reg, static_cast<uint32_t>(static_cast<int64_t>(raw)));
}

Range range_of(const Register& reg) {
  const Limits limits = raw_limits(reg.type);
  const double a = scaled(limits.min, reg.scale) + reg.offset;
  const double b = scaled(limits.max, reg.scale) + reg.offset;
  return {std::min(a, b), std::max(a, b)};
}

}  // namespace fieldpost::modbus
