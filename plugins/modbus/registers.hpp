// SPDX-License-Identifier: Apache-2.0
//
// What stands in registers, and the values it means. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fieldpost::modbus {

enum class Table : uint8_t { Coil, Discrete, Input, Holding };
inline constexpr bool is_bits(Table t) { return t == Table::Coil || t == Table::Discrete; }
inline constexpr bool is_writable(Table t) { return t == Table::Coil || t == Table::Holding; }
std::string_view name_of(Table table);
std::optional<Table> to_table(std::string_view name);

// Bool: a coil, or a register that is not 0. Bit: one bit of a register.
enum class Type : uint8_t { Bool, Bit, Int16, Uint16, Int32, Uint32, Float32 };
std::string_view name_of(Type type);
std::optional<Type> to_type(std::string_view name);
inline constexpr bool is_boolean(Type t) { return t == Type::Bool || t == Type::Bit; }
// Registers, or coils, that a value of this type takes.
inline constexpr uint16_t width_of(Type t) { return t >= Type::Int32 ? 2 : 1; }

struct Register {
  Table table = Table::Holding;
  uint16_t address = 0;  // as it is on the wire, from 0
  Type type = Type::Uint16;
  uint8_t bit = 0;              // Bit: 0 is the lowest
  bool low_word_first = false;  // CDAB instead of ABCD
  bool low_byte_first = false;  // BADC; with low_word_first DCBA
  double scale = 1;             // value = raw × scale + offset
  double offset = 0;
  std::optional<int> decimals{};  // the value is rounded to; none: as it comes
  uint16_t width() const { return width_of(type); }
  uint32_t end() const { return uint32_t{address} + width(); }
};

// "holding 100"
std::string to_text(Table table, uint32_t address);

// The number that `words` (reg.width() of them) mean; 0 or 1 for booleans. None: a float that is
// no number.
std::optional<double> decode(const Register& reg, std::span<const uint16_t> words);

// The words that mean `value`, rounded to what the register can hold. For Bit, `now` is what the
// register holds, whose other bits are kept. Errors: none when the value does not fit.
std::optional<std::vector<uint16_t>> encode(const Register& reg, double value, uint16_t now = 0);

// The values that can be written.
struct Range {
  double min = 0, max = 0;
};
Range range_of(const Register& reg);

}  // namespace fieldpost::modbus
