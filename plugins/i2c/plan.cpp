// SPDX-License-Identifier: Apache-2.0
#include "plan.hpp"

#include <algorithm>
#include <bit>

#include "tables.hpp"
#include "values.hpp"

namespace i2c {
namespace {

namespace sdk = fieldpost::sdk;

// The bits of the row; what is wrong with them is declared.
void read_bits(sdk::Declare& declare, const sdk::Section& row, Field& field) {
  const uint32_t full = full_mask(field.bytes);
  field.mask = full;
  if (row.has("mask")) {
    field.mask = static_cast<uint32_t>(row.integer("mask"));
    if (field.mask == 0 || (field.mask & ~full) != 0) {
      declare.problem(row, "mask", "expected some of the bits of the width");
      field.mask = full;
    }
    const uint32_t run = field.mask >> std::countr_zero(field.mask);
    if ((run & (run + 1)) != 0) {
      declare.problem(row, "mask", "expected one run of bits; give two runs a row each");
    }
  }
  field.shift = static_cast<unsigned>(std::countr_zero(field.mask));
  if (row.has("shift")) field.shift = static_cast<unsigned>(row.integer("shift"));
  if (field.mask >> field.shift == 0) {
    declare.problem(row, "shift", "expected less than the highest bit: nothing is left");
    field.shift = 0;
  }
}

// Which bytes of the chip.
Field bytes_of(sdk::Declare& declare, const sdk::Section& row) {
  Field field;
  field.reg = static_cast<uint8_t>(row.integer("register"));
  const auto width = row.integer("width");
  if (width % 8 != 0) declare.problem(row, "width", "expected 8, 16, 24 or 32");
  field.bytes = static_cast<unsigned>(width / 8);
  field.big_endian = row.text("endianness") == "big";
  return field;
}

Field field_of(sdk::Declare& declare, const sdk::Section& row) {
  Field field = bytes_of(declare, row);
  field.is_signed = row.boolean("signed");
  field.is_boolean = row.text("type") == "boolean";
  field.scale = row.number("scale");
  field.offset = row.number("offset");
  if (row.has("decimals")) field.decimals = static_cast<int>(row.integer("decimals"));
  if (field.scale == 0) {
    declare.problem(row, "scale", "expected anything but 0");
    field.scale = 1;
  }
  if (field.is_boolean && (field.is_signed || field.scale != 1 || field.offset != 0)) {
    declare.problem(row, "type", "a boolean has neither sign nor scale nor offset");
  }
  read_bits(declare, row, field);
  return field;
}

// The argument of the command that writes `field`: no more than it can hold.
sdk::Option argument_of(const Field& field) {
  sdk::Option argument{.name = "value", .required = true, .help = kArguments[0].help};
  argument.type = field.is_boolean ? FP_OPT_BOOLEAN : FP_OPT_NUMBER;
  if (!field.is_boolean) {
    const double low = static_cast<double>(min_count(field)) * field.scale + field.offset;
    const double high = static_cast<double>(max_count(field)) * field.scale + field.offset;
    argument.min = std::min(low, high);  // a negative scale turns them round
    argument.max = std::max(low, high);
  }
  return argument;
}

RegisterRow register_of(sdk::Declare& declare, unsigned unit, const sdk::Section& row) {
  RegisterRow wanted;
  wanted.field = field_of(declare, row);
  const std::string name = row.text("attribute");
  const std::string measure = row.has("unit") ? row.text("unit") : "";
  wanted.attribute =
      declare.attribute(unit, row,
                        sdk::Attribute{.name = name.c_str(),
                                       .type = wanted.field.is_boolean ? FP_BOOLEAN : FP_NUMBER,
                                       .unit = measure.c_str(),
                                       .help = kAttributes[0].help});
  if (row.has("command")) {
    const std::string command = row.text("command");
    const fp_option arguments[] = {argument_of(wanted.field)};
    wanted.command = declare.command(unit, row,
                                     sdk::Command{.name = command.c_str(),
                                                  .help = kCommands[0].help,
                                                  .args = arguments,
                                                  .output = name.c_str(),
                                                  .readback = name.c_str(),
                                                  .idempotent = true});
  }
  return wanted;
}

InitRow init_of(sdk::Declare& declare, const sdk::Section& row) {
  const InitRow init{bytes_of(declare, row), static_cast<uint32_t>(row.integer("value"))};
  if (init.value > full_mask(init.field.bytes)) {
    declare.problem(row, "value", "expected no more than the width holds");
  }
  return init;
}

Place place_of(sdk::Declare& declare, const sdk::Section& section) {
  Place place{static_cast<uint8_t>(section.integer("address")), std::nullopt};
  if (section.has("mux") != section.has("mux_channel")) {
    declare.problem(section, section.has("mux") ? "mux" : "mux_channel",
                    "expected both, mux and mux_channel");
  } else if (section.has("mux")) {
    place.mux = {static_cast<uint8_t>(section.integer("mux")),
                 static_cast<uint8_t>(section.integer("mux_channel"))};
    if (place.mux->address == place.address) {
      declare.problem(section, "address", "is that of its multiplexer");
    }
  }
  return place;
}

// One on the bus itself is heard beside those behind a multiplexer.
bool collide(const Place& a, const Place& b) {
  return a.address == b.address && (!a.mux || !b.mux || *a.mux == *b.mux);
}

ChipRow chip_of(sdk::Declare& declare, unsigned unit, const sdk::Section& section) {
  ChipRow chip;
  chip.place = place_of(declare, section);
  for (const sdk::Section& row : section.rows("init")) chip.init.push_back(init_of(declare, row));
  for (const sdk::Section& row : section.rows("register")) {
    chip.registers.push_back(register_of(declare, unit, row));
  }
  read_values(declare, unit, section, chip);
  if (chip.registers.empty() && !section.has("driver") && section.rows("value").empty()) {
    declare.problem(section, nullptr,
                    "expected a profile, or at least one [[plugin.chip.register]]");
  }
  return chip;
}

}  // namespace

Plan::Plan(sdk::Declare& declare) : bus(declare.options().text("bus")) {
  const std::vector<sdk::Section> units = declare.units();
  for (unsigned unit = 0; unit < units.size(); ++unit) {
    const sdk::Section& section = units[unit];
    if (!section.has("address")) {
      declare.problem(section, nullptr, "expected at least one [[plugin.chip]]");
      return;
    }
    ChipRow chip = chip_of(declare, unit, section);
    if (std::ranges::any_of(chips,
                            [&](const ChipRow& c) { return collide(c.place, chip.place); })) {
      declare.problem(section, "address", "a chip above has this address");
    }
    chips.push_back(std::move(chip));
  }
}

}  // namespace i2c
