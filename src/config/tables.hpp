// SPDX-License-Identifier: Apache-2.0
//
// The core's option tables. A row is all there is to an option: from it come parsing, checks,
// error messages, the example file and the manual.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "model/option.hpp"

namespace fieldpost {

// What a check finds: a complaint that follows "key: ".
struct Finding {
  bool warning = false;
  std::string text;
};

struct CoreOption {
  OptionSpec spec;
  // Puts a checked value where the daemon looks for it: a member of the section's object.
  void (*store)(void* object, const Value& value) = nullptr;
  // What type and range cannot say.
  std::optional<Finding> (*check)(const Value& value) = nullptr;
  std::string form{};     // of a text that is not just any: "a path that starts with /"
  std::string example{};  // for the example file, where there is no fallback
  std::string missing{};  // what is said when a required one is missing or empty
  bool several = false;   // a list of them is taken too; each is stored
  bool or_none = false;   // "none" is taken too, and stored as that text
  bool table = false;     // { NAME = VALUE, … }, which whoever reads the section takes apart
};

struct CoreSection {
  std::string name;      // "uplink"; "uplink.batch" stands inside [uplink]; "" is the top
  bool repeats = false;  // [[name]]
  std::string help{};
  std::vector<CoreOption> options{};
  void* (*object)(Config& config) = nullptr;  // of sections that do not repeat
};

// In the order of the example file.
std::span<const CoreSection> core_sections();
// nullptr: there is none of that name.
const CoreSection* find_section(std::string_view name);

// What [[plugin]] has before the plugin itself is asked.
// `: ReportKeys`: what is said of readings (report_table.hpp).
struct PluginRow : ReportKeys {
  std::string name, type, device;
  nanoseconds interval{}, deadline{};
  bool align = false;
  Keep keep = Keep::Thin;
  std::string sandbox;  // "on" or "off"
  std::string socket;
};
// What the core takes in every row of a plugin's tables, and in every unit.
struct RowKeys : ReportKeys {
  std::string device;
  std::optional<Keep> keep;
  // Units only.
  std::string name;
  std::string profile, prefix;  // for config/profiles.hpp, which takes them from the file itself
};
std::span<const CoreOption> row_options();
std::span<const CoreOption> unit_options();

// What a value should look like: the form of the row, or that of its type.
std::string expected_form(const CoreOption& option);

}  // namespace fieldpost
