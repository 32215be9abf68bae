// SPDX-License-Identifier: Apache-2.0
//
// A PluginProbe without plugins: three that are like real ones (a bus with units and rows, flat
// options alone, rows without units) and some that are broken.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace fieldpost {

class FakeProbe : public PluginProbe {
 public:
  FakeProbe() {
    add(modbus());
    add(sim());
    add(gpio());
  }

  std::vector<std::string> types() override {
    std::vector<std::string> names;
    for (const auto& [type, info] : installed) names.push_back(type);
    return names;
  }
  Result<PluginInfo> describe(const std::string& type) override {
    ++describes;
    const auto it = installed.find(type);
    if (it == installed.end()) return Error{Errc::NotFound, "no such file"};
    return it->second;
  }
  Result<Verdict> declare(const std::string& type, const InstanceConfig& config) override {
    declared.push_back(config);
    if (const auto it = verdicts.find(type); it != verdicts.end()) return it->second;
    return from_rows(config);
  }

  void add(PluginInfo info) { installed.insert_or_assign(info.type, std::move(info)); }

  std::map<std::string, Result<PluginInfo>> installed;
  std::map<std::string, Result<Verdict>> verdicts;  // instead of what the rows say
  std::vector<InstanceConfig> declared;             // what declare was asked
  int describes = 0;

 private:
  using enum OptionType;

  static PluginInfo named(const char* type) {
    PluginInfo info;
    info.type = type;
    info.version = "1.0.0";
    return info;
  }
  static PluginInfo modbus() {
    PluginInfo info = named("modbus");
    info.options = {
        {.name = "url", .required = true, .help = "The bus.", .exclusive = true},
        {.name = "unit", .type = Integer, .fallback = "1", .min = 0, .max = 255},
        {.name = "timeout", .type = Duration, .fallback = "500ms", .min = 0.01, .max = 60},
    };
    info.tables = {
        {"unit",
         true,
         "A unit.",
         {{.name = "address", .type = Integer, .required = true, .min = 0, .max = 255}}},
        {"register",
         false,
         "A register.",
         {{.name = "attribute", .type = Attribute, .required = true},
          {.name = "table", .type = Choice, .required = true, .choices = {"coil", "holding"}},
          {.name = "address", .type = Integer, .required = true, .min = 0, .max = 65535},
          {.name = "scale", .type = Number, .fallback = "1"},
          {.name = "signed", .type = Boolean},
          {.name = "type", .type = Text},
          {.name = "command", .type = Command}}}};
    return info;
  }
  static PluginInfo sim() {
    PluginInfo info = named("sim");
    info.options = {{.name = "attribute", .type = Attribute, .fallback = "value"},
                    {.name = "count", .type = Integer, .fallback = "1", .min = 1, .max = 10'000},
                    {.name = "file", .type = Text}};
    return info;
  }
  static PluginInfo gpio() {
    PluginInfo info = named("gpio");
    info.options = {{.name = "chip", .fallback = "gpiochip0"}};
    info.tables = {{"input",
                    false,
                    "A line.",
                    {{.name = "attribute", .type = Attribute, .required = true},
                     {.name = "offset", .type = Integer, .required = true, .max = 65535}}}};
    return info;
  }

  static uint32_t unit_of(const InstanceConfig& config, uint32_t section) {
    for (uint32_t unit = 0; unit < config.units.size(); ++unit) {
      if (config.units[unit] == section || config.units[unit] == config.sections[section].parent) {
        return unit;
      }
    }
    return 0;
  }

  // An attribute for every option `attribute`, `count` times, and a command for every `command`.
  static Verdict from_rows(const InstanceConfig& config) {
    Verdict verdict;
    for (uint32_t s = 0; s < config.sections.size(); ++s) {
      const auto& values = config.sections[s].values;
      const uint32_t unit = unit_of(config, s);
      if (const auto it = values.find("attribute"); it != values.end()) {
        const auto& name = std::get<std::string>(it->second);
        const auto count = values.find("count");
        const int n = count == values.end() ? 1 : static_cast<int>(std::get<double>(count->second));
        for (int i = 0; i < n; ++i) {
          const std::string numbered = i == 0 ? name : name + "-" + std::to_string(i);
          verdict.declaration.attributes.push_back({{numbered, DataType::Number, "", ""}, unit, s});
        }
      }
      if (const auto it = values.find("command"); it != values.end()) {
        CommandSpec command;
        command.name = std::get<std::string>(it->second);
        command.args = {{.name = "value", .type = Number, .required = true, .max = 100}};
        verdict.declaration.commands.push_back({std::move(command), unit, s});
      }
      if (values.contains("type") && values.at("type") == Value("impossible")) {
        verdict.complaints.push_back({s, "type", "no coil holds an impossible"});
      }
    }
    return verdict;
  }
};

}  // namespace fieldpost
