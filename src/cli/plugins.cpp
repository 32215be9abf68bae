// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iostream>

#include "base/text.hpp"
#include "cli/cli.hpp"
#include "config/profiles.hpp"
#include "supervisor/probe.hpp"

namespace fieldpost::cli {
namespace {

void print_options(const std::vector<OptionSpec>& options, std::string_view indent) {
  for (const OptionSpec& o : options) {
    std::cout << indent << o.name << ": " << expected_form(o);
    if (o.required) std::cout << ", required";
    if (o.fallback) std::cout << ", default " << (o.fallback->empty() ? "\"\"" : *o.fallback);
    std::cout << "\n" << indent << "    " << o.help << "\n";
  }
}

void print_info(const PluginInfo& info) {
  std::cout << info.type << " " << info.version << " (ABI " << info.abi_major << "."
            << info.abi_minor << "): " << info.summary << "\n"
            << "Its sandbox: " << words_of_needs(info.needs) << "\n";
  if (!info.options.empty()) std::cout << "\nOptions (options.NAME in [[plugin]]):\n";
  print_options(info.options, "  ");
  const auto units = std::ranges::find(info.tables, true, &TableSpec::units);
  for (const TableSpec& table : info.tables) {
    std::cout << "\n" << (table.units ? "Units" : "Rows") << " [[plugin." << table.name << "]]";
    if (units != info.tables.end() && !table.units) {
      std::cout << ", in a unit [[plugin." << units->name << "." << table.name << "]]";
    }
    std::cout << ": " << table.help << "\n";
    print_options(table.options, "  ");
  }
  if (!info.attributes.empty()) std::cout << "\nAttributes:\n";
  for (const AttributeSpec& a : info.attributes) {
    std::cout << "  " << a.name << ": " << name_of(a.type)
              << (a.unit.empty() ? "" : " in " + a.unit) << (a.help.empty() ? "" : ". " + a.help)
              << "\n";
  }
  if (!info.commands.empty()) std::cout << "\nCommands:\n";
  for (const CommandSpec& c : info.commands) {
    std::cout << "  " << c.name << ": " << c.help << "\n";
    print_options(c.args, "    ");
  }
}

void print_profiles(const std::map<std::string, std::string>& profiles) {
  if (!profiles.empty()) std::cout << "\nProfiles (profile in a unit):\n";
  for (const auto& [name, title] : profiles) {
    std::cout << "  " << name << (title.empty() ? "" : ": " + printable(title)) << "\n";
  }
}

}  // namespace

int plugins(const Call& call) {
  Probe probe(call.paths.plugin_host, call.paths.plugin_dir);
  if (call.words.empty()) {
    const auto found = probe.types();
    if (found.empty()) return fail("no plugins in '" + call.paths.plugin_dir + "' (--plugin-dir)");
    for (const std::string& type : found) {
      const auto info = probe.describe(type);
      std::cout << type
                << (info ? " " + info->version + ": " + info->summary
                         : ": cannot be used: " + info.error().message)
                << "\n";
    }
    return 0;
  }
  if (call.words.size() != 2 || call.words[0] != "help") {
    (void)fail("usage: fieldpost plugins, or fieldpost plugins help TYPE");
    return kUsage;
  }
  const auto info = probe.describe(call.words[1]);
  if (info) {
    print_info(*info);
    print_profiles(list_profiles(call.paths.profile_folders(), info->type));
    return 0;
  }
  const auto types = probe.types();
  const std::vector<std::string_view> names(types.begin(), types.end());
  const std::string_view near = nearest(call.words[1], names);
  return fail(info.error().message + (near.empty() || near == call.words[1]
                                          ? ""
                                          : "; did you mean '" + std::string(near) + "'?"));
}

}  // namespace fieldpost::cli
