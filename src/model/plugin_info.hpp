// SPDX-License-Identifier: Apache-2.0
//
// What is known of a plugin: its tables (PluginInfo, the same for every instance), what an
// instance is configured with (InstanceConfig), and what it has then (Declaration). They travel
// between supervisor and host as messages (model/message.hpp).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "model/guard_rule.hpp"
#include "model/option.hpp"
#include "model/report_rule.hpp"
#include "model/sandbox.hpp"
#include "model/value.hpp"

namespace fieldpost {

struct TableSpec {
  std::string name;
  bool units = false;  // each row is a unit, and the other tables may repeat inside it
  std::string help;
  std::vector<OptionSpec> options;
  bool operator==(const TableSpec&) const = default;
};

struct AttributeSpec {
  std::string name;
  DataType type = DataType::Number;
  std::string unit;  // of measure
  std::string help;
  bool operator==(const AttributeSpec&) const = default;
};

struct CommandSpec {
  std::string name;
  std::string help;
  std::vector<OptionSpec> args;
  std::string output;    // what it drives
  std::string readback;  // attribute that shows the effect; may be empty
  bool idempotent = false;
  bool operator==(const CommandSpec&) const = default;
};

// The argument that a bare value can only mean: the only one, or the only required one.
const OptionSpec* only_argument(const CommandSpec& spec);

struct PluginInfo {
  std::string type;
  std::string version;
  std::string summary;
  uint32_t abi_major = 0, abi_minor = 0;
  uint32_t needs = 0;  // kNeeds… of model/sandbox.hpp
  std::vector<OptionSpec> options;
  std::vector<TableSpec> tables;
  std::vector<AttributeSpec> attributes;
  std::vector<CommandSpec> commands;
  bool operator==(const PluginInfo&) const = default;
};

// One part of an instance's configuration. Values are checked and fallbacks are filled in.
struct ConfigSection {
  uint32_t parent = 0;  // index of the section that contains it; the first contains itself
  std::string table;    // "" for the first, which holds the instance's options
  std::map<std::string, Value> values;
  bool operator==(const ConfigSection&) const = default;
};

struct InstanceConfig {
  std::string name;
  nanoseconds interval{};  // between polls of a unit; 0: never polled
  bool align = false;      // polls at whole multiples of the interval by the wall clock, in UTC
  nanoseconds deadline{};  // of any call into the plugin
  Sandbox sandbox;
  // sections[0] is the instance. Rows of one table and parent stand in the order of the file.
  std::vector<ConfigSection> sections;
  // The section of each unit; {0} when there are no rows for units.
  std::vector<uint32_t> units{0};
  // For the readings of each section, same index; empty: all of them leave. Then of attributes that
  // are named, which refine those.
  std::vector<ReportRule> reports;
  std::vector<NamedReportKeys> named_reports;
  std::vector<GuardRule> guards;
  bool operator==(const InstanceConfig&) const = default;
};

// What an instance has. Readings and calls name attributes and commands by their index here.
struct Declaration {
  struct Attribute {
    AttributeSpec spec;
    uint32_t unit = 0;     // index into InstanceConfig::units
    uint32_t section = 0;  // that asks for it
    bool operator==(const Attribute&) const = default;
  };
  struct Command {
    CommandSpec spec;
    uint32_t unit = 0;
    uint32_t section = 0;
    bool operator==(const Command&) const = default;
  };
  std::vector<Attribute> attributes;
  std::vector<Command> commands;
  bool operator==(const Declaration&) const = default;
};

// What holds for the readings of an attribute: by its row, or else its unit, and by its name.
ReportRule report_rule(const Declaration::Attribute& attribute, const InstanceConfig& config);
// Its unit of measure as the configuration has it, or else as the plugin does. What is scaled here
// is in another unit than the plugin knows: then only the configuration can name it.
std::string unit_of_measure(const AttributeSpec& spec, const ReportRule& rule);

}  // namespace fieldpost
