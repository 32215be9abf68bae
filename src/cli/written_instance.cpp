// SPDX-License-Identifier: Apache-2.0
#include "cli/written_instance.hpp"

#include <algorithm>
#include <set>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/temp_folder.hpp"
#include "base/text.hpp"
#include "config/load.hpp"
#include "supervisor/probe.hpp"

namespace fieldpost::cli {
namespace {

constexpr const char* kHead =
    "config_version = 1\n"
    "[gateway]\n"
    "device_id = \"000000000000000000000000\"\n"
    "[uplink]\n"
    "url = \"mqtt://127.0.0.1\"\n"
    "limits = \"plain\"\n";

// The part of a key before its last dot, and the rest: the table and what is set in it.
std::pair<std::string, std::string> parted(const std::string& key) {
  const size_t dot = key.rfind('.');
  if (dot == std::string::npos) return {"", key};
  return {key.substr(0, dot), key.substr(dot + 1)};
}

const OptionSpec* find_option(const PluginInfo& plugin, const std::string& table,
                              const std::string& name) {
  const std::vector<OptionSpec>* options = table.empty() ? &plugin.options : nullptr;
  const std::string last = parted(table).second;  // of "unit.register"
  for (const TableSpec& spec : plugin.tables) {
    if (spec.name == last) options = &spec.options;
  }
  if (options == nullptr) return nullptr;
  const auto found = std::ranges::find(*options, name, &OptionSpec::name);
  return found == options->end() ? nullptr : &*found;
}

std::string quoted(const std::string& text) { return dump_json(Json(text)); }  // TOML's are JSON's

Result<std::string> toml_value(const OptionSpec* spec, const Setting& setting) {
  if (spec == nullptr) return quoted(setting.value);
  const auto value = FP_TRY(parse_option(*spec, setting.value).context("--set " + setting.key));
  switch (spec->type) {
    case OptionType::Integer:
    case OptionType::Number:
      return format_number(std::get<double>(value));
    case OptionType::Boolean:
      return std::string(std::get<bool>(value) ? "true" : "false");
    default:
      return quoted(setting.value);
  }
}

}  // namespace

Result<Setting> parse_setting(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return Error{Errc::Invalid,
                 "--set " + printable(text, 80) + ": expected KEY=VALUE, such as unit=3"};
  }
  return Setting{text.substr(0, equals), text.substr(equals + 1)};
}

Result<std::string> written_config(const PluginInfo& plugin, const std::vector<Setting>& settings) {
  std::string options, rows;
  std::string table;           // whose row is being written
  std::set<std::string> told;  // in it
  for (const Setting& setting : settings) {
    const auto [in, name] = parted(setting.key);
    const std::string value = FP_TRY(toml_value(find_option(plugin, in, name), setting));
    if (in.empty()) {
      options += "options." + name + " = " + value + "\n";
      continue;
    }
    if (in != table || !told.insert(name).second) {
      table = in;
      told = {name};
      rows += "[[plugin." + in + "]]\n";
    }
    rows += name + " = " + value + "\n";
  }
  return kHead + ("[[plugin]]\nname = \"" + plugin.type + "\"\ntype = \"" + plugin.type + "\"\n") +
         options + rows;
}

Result<Config> load_written(const Paths& paths, const std::string& type,
                            const std::vector<Setting>& settings) {
  Probe probe(paths.plugin_host, paths.plugin_dir);
  const PluginInfo plugin = FP_TRY(probe.describe(type));
  const std::string text = FP_TRY(written_config(plugin, settings));
  const TempFolder folder = FP_TRY(TempFolder::make());
  const std::string path = folder.path() + "/fieldpost.toml";
  FP_CHECK_OK(replace_file(path, text));
  Loaded loaded = load_config(path, probe, paths.profile_folders());
  std::string problems;  // without their places, which are in a file that nobody wrote
  for (const Problem& p : loaded.problems) {
    if (p.severity == Problem::Severity::Warning) continue;
    problems += (problems.empty() ? "" : "\n") + p.text;
  }
  if (!problems.empty()) return Error{Errc::Invalid, problems};
  return std::move(loaded.config);
}

}  // namespace fieldpost::cli
