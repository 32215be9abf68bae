// SPDX-License-Identifier: Apache-2.0
#include "plan.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace fieldpost::modbus {
namespace {

using sdk::Declare;
using sdk::Option;
using sdk::Section;
using std::chrono::nanoseconds;

// Modbus Application Protocol V1.1b3, 6.12.
constexpr uint16_t kMaxWritten = 123;

int unit_address(Declare& declare, const Section& section, const char* option, bool rtu) {
  const auto address = static_cast<int>(section.integer(option));
  if (rtu && (address < 1 || address > 247)) {
    declare.problem(section, option,
                    "expected 1 to 247 on a serial line, got " + std::to_string(address));
  } else if (address > 247 && address != 255) {
    declare.problem(
        section, option,
        "expected 0 to 247 or 255, got " + std::to_string(address) + ": 248 to 254 are reserved");
  }
  return address;
}

// Which part of its registers the value is.
void check_bits(Declare& declare, const Section& row, const Register& reg) {
  const std::string type(name_of(reg.type));
  const auto wrong = [&](const char* option, const std::string& why) {
    declare.problem(row, option, why);
  };
  if (is_integer(reg.type)) {
    if (row.has("bit") && !row.has("bits")) {
      wrong("bit", "needs bits too, how many from there on; for one bit there is type bit");
    } else if (reg.bit + reg.bits > 16 * reg.width()) {
      wrong("bits", "a " + type + " has no bit " + std::to_string(reg.bit + reg.bits - 1));
    }
    return;
  }
  if (row.has("bits")) wrong("bits", "only whole numbers of 16 to 64 bits take it");
  if (reg.type == Type::Bit) {
    if (!row.has("bit")) wrong("type", "type bit needs the option bit, 0 to 15");
    if (reg.bit > 15) wrong("bit", "a register has bits 0 to 15");
  } else if (is_byte(reg.type)) {
    if (reg.bit != 0 && reg.bit != 8) wrong("bit", "expected 0, the low byte, or 8, the high one");
  } else if (row.has("bit")) {
    wrong("bit", "a " + type + " takes none");
  }
}

void check_orders(Declare& declare, const Section& row, const Register& reg) {
  if (reg.low_word_first && reg.type == Type::String) {
    declare.problem(row, "word_order", "a string has none, its characters are in order");
  } else if (reg.low_word_first && reg.width() == 1) {
    declare.problem(row, "word_order",
                    "a " + std::string(name_of(reg.type)) + " has only one word");
  }
  if (reg.low_byte_first && is_bits(reg.table)) {
    declare.problem(row, "byte_order", "a coil or discrete input has no bytes");
  }
}

void check_type(Declare& declare, const Section& row, const Register& reg) {
  const std::string type(name_of(reg.type));
  if (is_bits(reg.table) && reg.type != Type::Bool) {
    declare.problem(row, "type",
                    "a " + std::string(name_of(reg.table)) + " is a bool, not a " + type);
    return;
  }
  if (reg.type == Type::String && !row.has("length")) {
    declare.problem(row, "type", "a string needs the option length, in registers");
  }
  if (reg.type != Type::String && row.has("length")) {
    declare.problem(row, "length", "only type string takes it, and this is a " + type);
  }
  if (reg.end() > 65536) {
    declare.problem(row, "address",
                    "a " + type + " takes " + std::to_string(reg.width()) +
                        " registers, and 65535 is the last one");
  }
  check_bits(declare, row, reg);
  check_orders(declare, row, reg);
}

std::string name_of_value(const Register& reg) {
  return is_boolean(reg.type) ? "a boolean" : "a string";
}

void check_scale(Declare& declare, const Section& row, const Register& reg) {
  if (reg.scale == 0) declare.problem(row, "scale", "must not be 0");
  if (data_type(reg.type) == FP_NUMBER) return;
  const std::string none = name_of_value(reg) + " has none";
  if (reg.scale != 1) declare.problem(row, "scale", none);
  if (reg.offset != 0) declare.problem(row, "offset", none);
  if (reg.decimals) declare.problem(row, "decimals", none);
}

Register read_register(Declare& declare, const Section& row) {
  Register reg;
  // The tables of options allow no other names.
  reg.table = to_table(row.text("table")).value_or(Table::Holding);
  reg.address = static_cast<uint16_t>(row.integer("address"));
  reg.type = is_bits(reg.table) ? Type::Bool : Type::Uint16;
  if (row.has("type")) reg.type = to_type(row.text("type")).value_or(reg.type);
  if (row.has("bit")) reg.bit = static_cast<uint8_t>(row.integer("bit"));
  if (row.has("bits")) reg.bits = static_cast<uint8_t>(row.integer("bits"));
  if (row.has("length")) reg.length = static_cast<uint16_t>(row.integer("length"));
  reg.low_word_first = row.text("word_order") == "little";
  reg.low_byte_first = row.text("byte_order") == "little";
  reg.scale = row.number("scale");
  reg.offset = row.number("offset");
  if (row.has("decimals")) reg.decimals = static_cast<int>(row.integer("decimals"));
  check_type(declare, row, reg);
  check_scale(declare, row, reg);
  return reg;
}

// The argument of the command: what the row allows, within what the register can hold.
std::optional<Option> value_argument(Declare& declare, const Section& row, const Register& reg) {
  Option value{.name = "value", .required = true, .help = "what to write"};
  if (data_type(reg.type) != FP_NUMBER) {
    value.type = is_boolean(reg.type) ? FP_OPT_BOOLEAN : FP_OPT_TEXT;
    for (const char* limit : {"write_min", "write_max"}) {
      if (row.has(limit)) declare.problem(row, limit, name_of_value(reg) + " has no limits");
    }
    return value;
  }
  if (reg.scale == 0) return {};
  const Range range = range_of(reg);
  value.type = FP_OPT_NUMBER;
  value.min = row.has("write_min") ? row.number("write_min") : range.min;
  value.max = row.has("write_max") ? row.number("write_max") : range.max;
  if (value.min < range.min) declare.problem(row, "write_min", "the register cannot hold it");
  if (value.max > range.max) declare.problem(row, "write_max", "the register cannot hold it");
  if (value.min > value.max) declare.problem(row, "write_min", "is greater than write_max");
  return value;
}

void declare_write(Declare& declare, Plan& plan, unsigned unit, const Section& row,
                   const std::string& attribute) {
  const Unit& device = plan.units[unit];
  const Register& reg = device.points.back().reg;
  if (!is_writable(reg.table)) {
    declare.problem(
        row, "command",
        "a value of the table " + std::string(name_of(reg.table)) + " cannot be written");
    return;
  }
  if (device.writes == Writes::Single && reg.width() > 1) {
    declare.problem(row, "command",
                    "writes " + std::to_string(reg.width()) +
                        " registers, and with write_function = \"single\" the unit would hold "
                        "half of an old and half of a new value meanwhile");
  }
  if (reg.width() > kMaxWritten) {
    declare.problem(row, "command", "one request writes 123 registers at most");
  }
  const auto value = value_argument(declare, row, reg);
  if (!value) return;
  const std::array<fp_option, 1> args{*value};
  const std::string name = row.text("command");
  // Bits of one register share an output: writing one reads and writes the others.
  const std::string output =
      "unit " + std::to_string(device.address) + " " + to_text(reg.table, reg.address);
  const std::string help = "Writes " + output + ".";
  declare.command(unit, row,
                  sdk::Command{.name = name.c_str(),
                               .help = help.c_str(),
                               .args = args,
                               .output = output.c_str(),
                               .readback = attribute.c_str(),
                               .idempotent = true});
  plan.commands.push_back({unit, device.points.size() - 1});
}

// All but its address and its points: the row's options, or else the instance's.
Unit read_unit(const Section& options, const Section& row) {
  const auto from = [&](const char* option) { return row.has(option) ? row : options; };
  Unit unit;
  unit.timeout = from("timeout").duration("timeout");
  const std::string writes = from("write_function").text("write_function");
  if (writes == "single") unit.writes = Writes::Single;
  if (writes == "multiple") unit.writes = Writes::Multiple;
  unit.reach.gap = static_cast<uint16_t>(from("max_gap").integer("max_gap"));
  unit.reach.registers = static_cast<uint16_t>(from("max_registers").integer("max_registers"));
  return unit;
}

void read_rows(Declare& declare, Plan& plan, unsigned unit, const Section& section) {
  for (const Section& row : section.rows("register")) {
    const Register reg = read_register(declare, row);
    const std::string attribute = row.text("attribute");
    if (reg.width() > plan.units[unit].reach.registers) {
      declare.problem(row, "address",
                      "a " + std::string(name_of(reg.type)) + " of " + std::to_string(reg.width()) +
                          " registers is more than max_registers, what one request may read");
    }
    const uint32_t index = declare.attribute(
        unit, row, sdk::Attribute{.name = attribute.c_str(), .type = data_type(reg.type)});
    plan.units[unit].points.push_back({reg, index});
    if (row.has("command")) {
      declare_write(declare, plan, unit, row, attribute);
    } else if (row.has("write_min") || row.has("write_max")) {
      declare.problem(row, row.has("write_min") ? "write_min" : "write_max",
                      "needs the option command");
    }
  }
}

std::string in_seconds(nanoseconds time) {
  std::string text = std::to_string(std::chrono::duration<double>(time).count());
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

// A request and its answer, with the pause before it.
nanoseconds time_of(const Plan& plan, const Extent& read) {
  const Endpoint& line = plan.endpoint;
  if (!line.is_rtu()) return plan.request_pause;
  const int64_t data = is_bits(read.table) ? (read.count + 7) / 8 : 2 * read.count;
  return plan.request_pause +
         nanoseconds(1'000'000'000 * (8 + 5 + data) * line.bits_per_byte() / line.baud);
}

// The process is killed at the deadline, and with it go the units that answer. So what is bound to
// pass it as soon as a unit is off or slow cannot work.
void check_deadline(Declare& declare, const Plan& plan, const Unit& unit, const Section& section) {
  const nanoseconds deadline = declare.deadline();
  if (deadline.count() <= 0 || unit.points.empty()) return;
  nanoseconds requests{};
  for (const Extent& read : ReadPlan(extents_of(unit), unit.reach).requests({})) {
    requests += time_of(plan, read);
  }
  const nanoseconds silences = kPatience * unit.timeout;
  const nanoseconds all = requests + longest_request(plan, unit) + silences - unit.timeout;
  if (all <= deadline) return;
  const nanoseconds most = std::max({requests, silences, plan.connect_timeout});
  const char* option = most == silences   ? "timeout"
                       : most == requests ? "request_pause"
                                          : "connect_timeout";
  const bool is_own = most == silences && section.has(option);
  declare.problem(is_own ? section : declare.options(), option,
                  "a poll of unit " + std::to_string(unit.address) + " may take " +
                      in_seconds(all) + ", of which its requests and their pauses are " +
                      in_seconds(requests) + ", and the instance's deadline is " +
                      in_seconds(deadline) +
                      ", at which its process is replaced: make this shorter or that longer");
}

}  // namespace

std::vector<Extent> extents_of(const Unit& unit) {
  std::vector<Extent> all;
  all.reserve(unit.points.size());
  for (const Point& p : unit.points) {
    all.push_back({p.reg.table, p.reg.address, p.reg.width()});
  }
  return all;
}

// On a serial line what is late is waited for before the unit is asked again.
nanoseconds longest_request(const Plan& plan, const Unit& unit) {
  const bool connects = plan.endpoint.line != Line::Serial;
  return (connects ? plan.connect_timeout : nanoseconds()) + plan.request_pause +
         (plan.endpoint.is_rtu() ? 2 : 1) * unit.timeout;
}

Plan::Plan(Declare& declare) {
  const Section options = declare.options();
  try {
    endpoint = parse_url(options.text("url"));
  } catch (const sdk::ConfigError& e) {
    declare.problem(options, "url", e.what());
  }
  connect_timeout = options.duration("connect_timeout");
  request_pause = options.duration("request_pause");
  const std::vector<Section> sections = declare.units();
  const bool rows = sections.front().index() != options.index();
  if (rows) {
    for (const Section& row : options.rows("register")) {
      declare.problem(row, nullptr,
                      "belongs to no unit: with [[plugin.unit]] rows, "
                      "registers are written as [[plugin.unit.register]]");
    }
  }
  for (unsigned i = 0; i < sections.size(); ++i) {
    const Section& section = sections[i];
    const char* option = rows ? "address" : "unit";
    Unit unit = read_unit(options, section);
    unit.address = unit_address(declare, section, option, endpoint.is_rtu());
    for (const Unit& other : units) {
      if (other.address == unit.address) {
        declare.problem(section, option,
                        "another unit has the address " + std::to_string(unit.address) + " too");
        break;
      }
    }
    units.push_back(std::move(unit));
    read_rows(declare, *this, i, section);
    if (units.back().points.empty()) {
      declare.problem(section, nullptr,
                      "has no [[plugin." + std::string(rows ? "unit." : "") +
                          "register]] rows, so nothing would be read");
    }
    check_deadline(declare, *this, units.back(), section);
  }
}

}  // namespace fieldpost::modbus
