// SPDX-License-Identifier: Apache-2.0
#include "registers.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "../common/rounding.hpp"
#include "../common/utf8.hpp"

namespace fieldpost::modbus {
namespace {

using Decoded = std::expected<sdk::Value, std::string>;

constexpr std::array<std::string_view, 4> kTables = {"coil", "discrete", "input", "holding"};
constexpr std::array<std::string_view, 15> kTypes = {
    "bool",   "bit",     "int8",  "uint8", "int16",  "uint16",  "bcd16", "int32",
    "uint32", "float32", "bcd32", "int64", "uint64", "float64", "string"};

// The whole numbers that a double holds all of.
constexpr int kExactBits = 53;
constexpr double kExact = 9007199254740992.0;  // 2^53

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
uint64_t join(const Register& reg, std::span<const uint16_t> words) {
  uint64_t joined = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const size_t at = reg.low_word_first ? words.size() - 1 - i : i;
    joined = joined << 16 | ordered(reg, words[at]);
  }
  return joined;
}

std::vector<uint16_t> split(const Register& reg, uint64_t joined) {
  std::vector<uint16_t> words(reg.width());
  for (size_t i = 0; i < words.size(); ++i, joined >>= 16) {
    const size_t at = reg.low_word_first ? i : words.size() - 1 - i;
    words[at] = ordered(reg, static_cast<uint16_t>(joined & 0xFFFF));
  }
  return words;
}

// How many bits of the register the number has.
int bits_of(const Register& reg) {
  if (reg.type == Type::Bit) return 1;
  if (is_byte(reg.type)) return 8;
  return reg.bits != 0 ? reg.bits : 16 * reg.width();
}

uint64_t mask_of(int bits) { return bits >= 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1; }

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

Decoded number(const Register& reg, double raw) {
  const double value = scaled(raw, reg.scale) + reg.offset;
  if (!std::isfinite(value)) return std::unexpected("is not a number");
  return reg.decimals ? plugin_common::rounded(value, *reg.decimals) : value;
}

Decoded decode_integer(const Register& reg, uint64_t joined) {
  const int n = bits_of(reg);
  const uint64_t mask = mask_of(n);
  uint64_t raw = joined >> reg.bit & mask;
  const bool negative = is_signed(reg.type) && (raw >> (n - 1) & 1) != 0;
  if (negative) raw |= ~mask;
  const uint64_t size = negative ? 0 - raw : raw;
  if (size > uint64_t{1} << kExactBits) {
    return std::unexpected("is " + std::string(negative ? "-" : "") + std::to_string(size) +
                           ", beyond the 2^53 up to which whole numbers are exact");
  }
  const auto magnitude = static_cast<double>(size);
  return number(reg, negative ? -magnitude : magnitude);
}

std::string hexadecimal(uint64_t value, int digits) {
  std::string text(static_cast<size_t>(digits), '0');
  for (size_t i = text.size(); i-- > 0; value >>= 4) text[i] = "0123456789ABCDEF"[value & 0xF];
  return text;
}

Decoded decode_bcd(const Register& reg, uint64_t joined) {
  const int digits = 4 * reg.width();
  double raw = 0;
  for (int i = digits; i-- > 0;) {
    const auto digit = static_cast<unsigned>(joined >> (4 * i) & 0xF);
    if (digit > 9)
      return std::unexpected("is 0x" + hexadecimal(joined, digits) + ", no BCD number");
    raw = raw * 10 + digit;
  }
  return number(reg, raw);
}

// Up to the first NUL, without the spaces at the end.
Decoded decode_text(const Register& reg, std::span<const uint16_t> words) {
  std::string text;
  text.reserve(2 * words.size());
  for (const uint16_t w : words) {
    const uint16_t word = ordered(reg, w);
    text += static_cast<char>(word >> 8);
    text += static_cast<char>(word & 0xFF);
  }
  text.resize(std::min(text.find('\0'), text.size()));
  text.resize(text.find_last_not_of(' ') + 1);
  if (plugin_common::is_utf8(text)) return text;
  std::string bytes;
  for (const char c : text.substr(0, 16)) {
    bytes += ' ' + hexadecimal(static_cast<unsigned char>(c), 2);
  }
  return std::unexpected("is not UTF-8 text:" + bytes + (text.size() > 16 ? " …" : ""));
}

// ---- Writing.

struct Limits {
  double min, max;
};
Limits raw_limits(const Register& reg) {
  if (reg.type == Type::Float32) {
    return {-std::numeric_limits<float>::max(), std::numeric_limits<float>::max()};
  }
  if (reg.type == Type::Float64) {
    return {-std::numeric_limits<double>::max(), std::numeric_limits<double>::max()};
  }
  if (is_bcd(reg.type)) return {0, reg.type == Type::Bcd16 ? 9999.0 : 99'999'999.0};
  const int n = bits_of(reg);
  if (is_signed(reg.type)) {
    const double half = std::ldexp(1.0, n - 1);
    return {std::max(-half, -kExact), std::min(half - 1, kExact)};
  }
  return {0, n > kExactBits ? kExact : std::ldexp(1.0, n) - 1};
}

uint64_t to_bcd(uint64_t raw) {
  uint64_t digits = 0;
  for (int shift = 0; raw != 0; raw /= 10, shift += 4) digits |= raw % 10 << shift;
  return digits;
}

std::optional<std::vector<uint16_t>> encode_text(const Register& reg, std::string_view text) {
  if (text.size() > size_t{2} * reg.width()) return {};
  std::vector<uint16_t> words(reg.width());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    words[i / 2] = static_cast<uint16_t>(words[i / 2] | byte << (i % 2 == 0 ? 8 : 0));
  }
  for (uint16_t& word : words) word = ordered(reg, word);
  return words;
}

// `part` in place of those bits of the registers that it takes.
uint64_t into(const Register& reg, uint64_t part, std::span<const uint16_t> now) {
  if (!reg.is_part()) return part;
  const uint64_t mask = mask_of(bits_of(reg)) << reg.bit;
  return (join(reg, now) & ~mask) | (part << reg.bit & mask);
}

}  // namespace

std::string_view name_of(Table table) { return kTables.at(static_cast<size_t>(table)); }
std::string_view name_of(Type type) { return kTypes.at(static_cast<size_t>(type)); }
std::optional<Table> to_table(std::string_view name) { return find<Table>(kTables, name); }
std::optional<Type> to_type(std::string_view name) { return find<Type>(kTypes, name); }

std::string to_text(Table table, uint32_t address) {
  return std::string(name_of(table)) + " " + std::to_string(address);
}

uint32_t data_type(Type type) {
  if (is_boolean(type)) return FP_BOOLEAN;
  return type == Type::String ? FP_STRING : FP_NUMBER;
}

uint16_t Register::width() const {
  if (type == Type::String) return length;
  if (type >= Type::Int64) return 4;
  return type >= Type::Int32 ? 2 : 1;
}

std::expected<sdk::Value, std::string> decode(const Register& reg,
                                              std::span<const uint16_t> words) {
  if (reg.type == Type::String) return decode_text(reg, words);
  const uint64_t joined = join(reg, words);
  switch (reg.type) {
    case Type::Bool:
      return joined != 0;
    case Type::Bit:
      return (joined >> reg.bit & 1) != 0;
    case Type::Float32: {
      const auto f = std::bit_cast<float>(static_cast<uint32_t>(joined));
      return number(reg, std::isfinite(f) ? widen(f) : double{f});
    }
    case Type::Float64:
      return number(reg, std::bit_cast<double>(joined));
    case Type::Bcd16:
    case Type::Bcd32:
      return decode_bcd(reg, joined);
    default:
      return decode_integer(reg, joined);
  }
}

std::optional<std::vector<uint16_t>> encode(const Register& reg, const sdk::Value& value,
                                            std::span<const uint16_t> now) {
  if (const auto* text = std::get_if<std::string>(&value)) return encode_text(reg, *text);
  if (const auto* on = std::get_if<bool>(&value)) return split(reg, into(reg, *on ? 1 : 0, now));
  double raw = (*std::get_if<double>(&value) - reg.offset) / reg.scale;
  const Limits limits = raw_limits(reg);
  const bool whole = reg.type != Type::Float32 && reg.type != Type::Float64;
  if (whole) raw = std::round(raw);
  if (!(raw >= limits.min && raw <= limits.max)) return {};
  if (reg.type == Type::Float64) return split(reg, std::bit_cast<uint64_t>(raw));
  if (!whole) return split(reg, std::bit_cast<uint32_t>(static_cast<float>(raw)));
  const auto integer = static_cast<uint64_t>(static_cast<int64_t>(raw));
  return split(reg, into(reg, is_bcd(reg.type) ? to_bcd(integer) : integer, now));
}

Range range_of(const Register& reg) {
  constexpr double kMost = std::numeric_limits<double>::max();
  const Limits limits = raw_limits(reg);
  const double a = std::clamp(scaled(limits.min, reg.scale) + reg.offset, -kMost, kMost);
  const double b = std::clamp(scaled(limits.max, reg.scale) + reg.offset, -kMost, kMost);
  return {std::min(a, b), std::max(a, b)};
}

}  // namespace fieldpost::modbus
