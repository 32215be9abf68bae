// SPDX-License-Identifier: Apache-2.0
#include "cli/line.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>

#include "base/text.hpp"
#include "cli/client.hpp"
#include "config/across.hpp"
#include "supervisor/guest_json.hpp"
#include "supervisor/probe.hpp"
#include "supervisor/start_host.hpp"

namespace fieldpost::cli {
namespace {

// An instance whose line is busy lets a guest have a small part of its time.
constexpr int kPatience = 7;

constexpr const char* kServiceUser = "fieldpost";  // systemd/fieldpost.service

// The attributes of one unit, by their names: a unit has none twice, but units of one model have
// the same.
void take(const GuestUnit& read, const PluginConfig& plugin, size_t unit, OneReading& taken) {
  taken.silent[unit].reset();
  if (!read.good) taken.silent[unit] = printable(read.reason);
  const auto& declared = plugin.declaration.attributes;
  for (const GuestAttribute& a : read.attributes) {
    for (uint32_t i = 0; i < declared.size(); ++i) {
      const bool same = declared[i].unit == unit && declared[i].spec.name == a.name;
      const bool fits =
          a.reading.quality != Quality::Good || type_of(a.reading.value) == declared[i].spec.type;
      if (!same || !fits) continue;
      taken.attributes[i] = a.reading;
      taken.attributes[i]->attribute = i;
    }
  }
}

// The option by which no two instances may have the same line, and the line; nothing: it has none.
std::optional<std::pair<std::string, std::string>> line_of(const Paths& paths,
                                                           const PluginConfig& plugin) {
  const auto info = Probe(paths.plugin_host, paths.plugin_dir).describe(plugin.type);
  if (!info) return std::nullopt;
  const auto& values = plugin.instance.sections.at(0).values;
  for (const OptionSpec& option : info->options) {
    const auto value = values.find(option.name);
    if (option.exclusive && value != values.end()) {
      return std::pair(option.name, bus_of(value->second));
    }
  }
  return std::nullopt;
}

// Nothing: no agent runs that may be asked and has the line. A unit each, so that the instance's
// own polls go on between them.
Result<std::optional<OneReading>> read_by_agent(const Paths& paths, const PluginConfig& plugin,
                                                nanoseconds limit) {
  if (!plugin.declaration.commands.empty()) return std::optional<OneReading>();
  auto agent = ControlClient::connect(paths, true);
  if (!agent) return std::optional<OneReading>();
  const auto line = line_of(paths, plugin);
  if (!line) return std::optional<OneReading>();
  const BootTime deadline = BootClock::now() + kPatience * limit;
  OneReading taken{.declaration = plugin.declaration, .attributes = {}, .silent = {}};
  taken.attributes.resize(plugin.declaration.attributes.size());
  taken.silent.resize(plugin.instance.units.size(), "was not asked in time");
  for (size_t unit = 0; unit < taken.silent.size(); ++unit) {
    const nanoseconds left = deadline - BootClock::now();
    if (left.count() <= 0) break;
    Json request = guest_to_json(only_unit(plugin.instance, unit));
    request["do"] = "read-once";
    request["plugin"] = plugin.type;
    request["option"] = line->first;
    request["line"] = line->second;
    const auto answer = agent->ask(request, std::chrono::ceil<std::chrono::milliseconds>(left));
    const bool is_set_up = answer || answer.error().code != Errc::NotFound;
    if (!is_set_up || (answer && !answer->contains("unit"))) return std::optional<OneReading>();
    if (!answer && answer.error().code == Errc::Timeout) break;
    if (!answer) return answer.error();
    take(FP_TRY(reading_from_json((*answer)["unit"])), plugin, unit, taken);
  }
  return std::optional(std::move(taken));
}

}  // namespace

InstanceConfig only_unit(const InstanceConfig& config, size_t unit) {
  InstanceConfig one;
  one.name = config.name;
  std::vector<std::optional<uint32_t>> moved(config.sections.size());  // where it is in `one`
  for (uint32_t s = 0; s < config.sections.size(); ++s) {
    const bool is_other_unit = s != 0 && s != config.units[unit] &&
                               std::ranges::find(config.units, s) != config.units.end();
    const auto parent = s == 0 ? std::optional<uint32_t>(0) : moved[config.sections[s].parent];
    if (is_other_unit || !parent) continue;
    moved[s] = static_cast<uint32_t>(one.sections.size());
    one.sections.push_back(config.sections[s]);
    one.sections.back().parent = *parent;
  }
  one.units = {moved[config.units[unit]].value_or(0)};
  return one;
}

std::string host_user(const Paths& paths) {
  if (::geteuid() != 0) return "";
  // What was not installed, the user may not reach.
  if (!paths.plugin_host.starts_with("/usr/")) return "";
  if (::getpwnam(kServiceUser) == nullptr) return "";  // NOLINT(concurrency-mt-unsafe): one thread
  if (::access(kSetpriv, X_OK) == 0) return kServiceUser;
  std::cerr << "fieldpost: " << kSetpriv << " is missing, so the plugin runs as root\n";
  return "";
}

Result<OneReading> read_wherever(const Paths& paths, const PluginConfig& plugin,
                                 nanoseconds limit) {
  if (auto taken = FP_TRY(read_by_agent(paths, plugin, limit))) return *std::move(taken);
  return fieldpost::read_once(paths.plugin_host, paths.plugin_dir + "/" + plugin.type + ".so",
                              plugin.instance, limit, host_user(paths));
}

}  // namespace fieldpost::cli
