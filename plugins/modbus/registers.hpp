// SPDX-License-Identifier: Apache-2.0
//
// What stands in registers, and the values it means. Pure.
#pragma once

#include <fieldpost/plugin.hpp>

#include <cstdint>
#include <expected>
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

// Bool: a coil, or a register that is not 0. Bit: one bit of a register. Int8, Uint8: one of its
// bytes. Bcd16, Bcd32: four or eight decimal digits. String: UTF-8, or ASCII.
enum class Type : uint8_t {
  Bool,
  Bit,
  Int8,
  Uint8,
  Int16,
  Uint16,
  Bcd16,
  Int32,
  Uint32,
  Float32,
  Bcd32,
  Int64,
  Uint64,
  Float64,
  String
};
std::string_view name_of(Type type);
std::optional<Type> to_type(std::string_view name);
inline constexpr bool is_boolean(Type t) { return t == Type::Bool || t == Type::Bit; }
inline constexpr bool is_byte(Type t) { return t == Type::Int8 || t == Type::Uint8; }
// Whole numbers, of which `bit` and `bits` may take a part.
inline constexpr bool is_integer(Type t) {
  return t == Type::Int16 || t == Type::Uint16 || t == Type::Int32 || t == Type::Uint32 ||
         t == Type::Int64 || t == Type::Uint64;
}
inline constexpr bool is_signed(Type t) {
  return t == Type::Int8 || t == Type::Int16 || t == Type::Int32 || t == Type::Int64;
}
inline constexpr bool is_bcd(Type t) { return t == Type::Bcd16 || t == Type::Bcd32; }

struct Register {
  Table table = Table::Holding;
  uint16_t address = 0;  // as it is on the wire, from 0
  Type type = Type::Uint16;
  uint8_t bit = 0;              // the lowest that counts; 0 is the lowest of the value
  uint8_t bits = 0;             // of an integer: how many count; 0: all
  uint16_t length = 0;          // String: how many registers
  bool low_word_first = false;  // CDAB instead of ABCD, GHEFCDAB instead of ABCDEFGH
  bool low_byte_first = false;  // BADC; with low_word_first DCBA
  double scale = 1;             // value = raw × scale + offset
  double offset = 0;
  std::optional<int> decimals{};  // the value is rounded to; none: as it comes
  // Registers, or coils, that it takes.
  uint16_t width() const;
  uint32_t end() const { return uint32_t{address} + width(); }
  // Writing it has to leave other bits of its registers as they are.
  bool is_part() const { return type == Type::Bit || is_byte(type) || bits != 0; }
};

// "holding 100"
std::string to_text(Table table, uint32_t address);

// An attribute's type: FP_NUMBER, FP_BOOLEAN or FP_STRING.
uint32_t data_type(Type type);

// What `words` (reg.width() of them) mean. Errors: why they mean nothing that could be sent, as in
// "is not a number": a float that is none, digits that are none, text that is not UTF-8, a whole
// number beyond ±2^53, which a double would change without a sign.
std::expected<sdk::Value, std::string> decode(const Register& reg, std::span<const uint16_t> words);

// The words that mean `value`, rounded to what the register can hold. Where reg.is_part(), `now`
// is what the registers hold. Errors: none when the value does not fit.
std::optional<std::vector<uint16_t>> encode(const Register& reg, const sdk::Value& value,
                                            std::span<const uint16_t> now = {});

// The numbers that can be written.
struct Range {
  double min = 0, max = 0;
};
Range range_of(const Register& reg);

}  // namespace fieldpost::modbus
