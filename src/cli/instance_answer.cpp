// SPDX-License-Identifier: Apache-2.0
#include "cli/instance_answer.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "cli/client.hpp"
#include "cli/json_words.hpp"
#include "cli/line.hpp"
#include "model/value_json.hpp"

namespace fieldpost::cli {
namespace {

Json to_json(const AttributeSpec& spec, const std::optional<Reading>& reading) {
  Json json{{"name", spec.name}};
  if (!spec.unit.empty()) json["unit"] = spec.unit;
  if (!reading) return json;
  json["quality"] = name_of(reading->quality);
  if (reading->quality == Quality::Good) {
    json["value"] = fieldpost::to_json(reading->value);
  } else {
    json["detail"] = reading->detail;
  }
  return json;
}

InstanceAnswer answer_of(const OneReading& taken, const PluginConfig& plugin,
                         const Config& config) {
  InstanceAnswer answer;
  for (size_t i = 0; i < taken.silent.size(); ++i) {
    Json unit{{"name", plugin.unit_names[i]}, {"state", taken.silent[i] ? "silent" : "good"}};
    if (taken.silent[i]) unit["reason"] = *taken.silent[i];
    answer.units.push_back(std::move(unit));
  }
  for (size_t i = 0; i < taken.attributes.size(); ++i) {
    Json a = to_json(taken.declaration.attributes[i].spec, taken.attributes[i]);
    a["device"] = config.devices[plugin.attribute_device[i]].name;
    answer.attributes.push_back(std::move(a));
  }
  return answer;
}

}  // namespace

std::string words_of(const Json& attribute) {
  std::string words = "nothing came";
  if (attribute.contains("value")) {
    words = value_words(attribute["value"]);
    if (const std::string unit = text_of(attribute, "unit"); !unit.empty()) words += " " + unit;
  } else if (attribute.contains("quality")) {
    words = text_of(attribute, "quality") + " (" + text_of(attribute, "detail") + ")";
  }
  if (attribute.contains("age_s")) words += ", " + ago(attribute["age_s"]) + " ago";
  return words;
}

bool InstanceAnswer::is_good() const {
  return std::ranges::none_of(units,
                              [](const Json& u) { return text_of(u, "state") == "silent"; }) &&
         std::ranges::all_of(attributes, [](const Json& a) { return a.contains("value"); });
}

Result<std::optional<Json>> agent_status(const Paths& paths) {
  auto client = ControlClient::connect(paths, false);
  if (!client && client.error().code == Errc::NotFound) return std::optional<Json>();
  if (!client) return client.error();
  Json answer = FP_TRY(client->ask(Json{{"do", "status"}}));
  return std::optional<Json>(std::move(answer["status"]));
}

Result<std::optional<InstanceAnswer>> answer_in(const Json& status, const std::string& instance) {
  for (const Json& p : status["plugins"]) {
    if (text_of(p, "name") != instance) continue;
    if (const std::string state = text_of(p, "state"); state != "up") {
      return Error{Errc::Unavailable,
                   "the agent has it, and it is " + state + ": " + text_of(p, "reason")};
    }
    return std::optional<InstanceAnswer>({p["units"], p["attributes"]});
  }
  return std::optional<InstanceAnswer>();
}

Result<const PluginConfig*> find_plugin(const Config& config, const std::string& name) {
  std::vector<std::string_view> names;
  for (const PluginConfig& plugin : config.plugins) {
    if (plugin.name == name) return &plugin;
    names.push_back(plugin.name);
  }
  const std::string_view near = nearest(name, names);
  return Error{Errc::NotFound,
               "there is no [[plugin]] '" + printable(name, 80) + "' in the configuration" +
                   (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?")};
}

Result<> can_run_here(const PluginConfig& plugin) {
  if (!plugin.failed.empty()) return Error{Errc::Invalid, plugin.failed};
  if (!plugin.socket.empty()) {
    return Error{Errc::Invalid, "it is a unit of its own (socket), which only the agent can ask"};
  }
  return {};
}

Result<InstanceAnswer> read_here(const Paths& paths, const Config& config,
                                 const PluginConfig& plugin, nanoseconds limit, Outputs outputs) {
  FP_CHECK_OK(can_run_here(plugin));
  const auto& commands = plugin.declaration.commands;
  if (!commands.empty() && outputs == Outputs::Spared) {
    return Error{Errc::Invalid, "it has outputs ('" + printable(commands[0].spec.name, 80) +
                                    "'), and opening it may drive them: start the agent, or give "
                                    "--outputs if that is harmless"};
  }
  const OneReading taken = FP_TRY(read_wherever(paths, plugin, limit));
  if (taken.declaration != plugin.declaration) {
    return Error{Errc::Invalid, "it declares other things than a moment ago: ask again"};
  }
  return answer_of(taken, plugin, config);
}

}  // namespace fieldpost::cli
