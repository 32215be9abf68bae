// SPDX-License-Identifier: Apache-2.0
//
// `fieldpost read`: what an instance reads now. Of the running agent, if that has the instance;
// otherwise with a host of our own, for which no agent is needed.
#include <algorithm>
#include <iostream>

#include "base/text.hpp"
#include "cli/cli.hpp"
#include "cli/client.hpp"
#include "cli/written_instance.hpp"
#include "model/value_json.hpp"
#include "supervisor/one_reading.hpp"

namespace fieldpost::cli {
namespace {

// Everything that is said, in the form of the agent's status: "units" and "attributes".
struct Answer {
  Json units = Json::array(), attributes = Json::array();
};

std::string text(const Json& json, const char* key) {
  return json.contains(key) ? printable(json[key].get<std::string>()) : "";
}

std::string words_of(const Json& a) {
  std::string words;
  if (a.contains("value")) {
    const Json& v = a["value"];
    words = v.is_number() ? format_number(v.get<double>()) : printable(dump_json(v), 200);
    if (const std::string unit = text(a, "unit"); !unit.empty()) words += " " + unit;
  } else if (a.contains("quality")) {
    words = text(a, "quality") + " (" + text(a, "detail") + ")";
  } else {
    words = "nothing came";
  }
  if (a.contains("age_s")) {
    const auto age = std::chrono::duration<double>(a["age_s"].get<double>());
    words += ", " + about(std::chrono::duration_cast<nanoseconds>(age)) + " ago";
  }
  return words;
}

bool is_good(const Answer& answer) {
  return std::ranges::none_of(answer.units,
                              [](const Json& u) { return text(u, "state") == "silent"; }) &&
         std::ranges::all_of(answer.attributes, [](const Json& a) { return a.contains("value"); });
}

int print(const Call& call, const Answer& answer) {
  if (call.json()) {
    std::cout << Json{{"units", answer.units}, {"attributes", answer.attributes}}.dump(2) << "\n";
    return is_good(answer) ? 0 : kFailed;
  }
  for (const Json& u : answer.units) {
    if (text(u, "state") != "silent") continue;
    std::cout << text(u, "name") << ": " << text(u, "reason") << "\n";
  }
  size_t width = 0;
  const auto name_of = [](const Json& a) { return text(a, "device") + "  " + text(a, "name"); };
  for (const Json& a : answer.attributes) width = std::max(width, name_of(a).size());
  for (const Json& a : answer.attributes) {
    std::string name = name_of(a);
    name.resize(width, ' ');
    std::cout << name << "  " << words_of(a) << "\n";
  }
  return is_good(answer) ? 0 : kFailed;
}

// What the running agent has of it. Nothing: no agent runs here, or it does not have it. Errors:
// one runs that may not be asked.
Result<std::optional<Answer>> ask_agent(const Call& call, const std::string& instance) {
  auto client = ControlClient::connect(call.paths, false);
  if (!client && client.error().code == Errc::NotFound) return std::optional<Answer>();
  if (!client) return client.error();
  const Json answer = FP_TRY(client->ask(Json{{"do", "status"}}));
  for (const Json& p : answer["status"]["plugins"]) {
    if (text(p, "name") != instance) continue;
    if (const std::string state = text(p, "state"); state != "up") {
      return Error{Errc::Unavailable, "the agent has '" + instance + "', which is " + state + ": " +
                                          text(p, "reason")};
    }
    return std::optional<Answer>({p["units"], p["attributes"]});
  }
  return std::optional<Answer>();
}

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

Answer answer_of(const OneReading& taken, const PluginConfig& plugin, const Config& config) {
  Answer answer;
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

int read_here(const Call& call, const Config& config, const std::string& name) {
  const auto plugin = std::ranges::find(config.plugins, name, &PluginConfig::name);
  if (plugin == config.plugins.end()) {
    std::vector<std::string_view> names;
    for (const PluginConfig& p : config.plugins) names.push_back(p.name);
    const std::string_view near = nearest(name, names);
    return fail("there is no [[plugin]] '" + printable(name, 80) + "' in the configuration" +
                (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?"));
  }
  if (!plugin->failed.empty()) return fail(name + ": " + plugin->failed);
  if (!plugin->socket.empty()) {
    return fail(name + " is a unit of its own (socket): start the agent, and ask again");
  }
  const auto limit = parse_duration(call.given["for"].as<std::string>());
  if (!limit) return (void)fail("--for: " + limit.error().message), kUsage;
  const auto taken =
      read_once(call.paths.plugin_host, call.paths.plugin_dir + "/" + plugin->type + ".so",
                plugin->instance, *limit);
  if (!taken) return fail(name + ": " + taken.error().message);
  return print(call, answer_of(*taken, *plugin, config));
}

// An instance that no file has.
int read_written(const Call& call, const std::string& type) {
  std::vector<Setting> settings;
  if (call.given.count("set") > 0) {
    for (const std::string& given : call.given["set"].as<std::vector<std::string>>()) {
      auto setting = parse_setting(given);
      if (!setting) return (void)fail(setting.error().message), kUsage;
      settings.push_back(*std::move(setting));
    }
  }
  const auto config = load_written(call.paths, type, settings);
  if (!config) {
    return (void)fail(config.error().message),
           config.error().code == Errc::Invalid ? kConfig : kFailed;
  }
  return read_here(call, *config, type);
}

}  // namespace

void read_options(po::options_description& o) {
  o.add_options()("json", "print JSON");
  o.add_options()("plugin", po::value<std::string>()->value_name("TYPE"),
                  "an instance of this plugin that no configuration has");
  o.add_options()("set", po::value<std::vector<std::string>>()->value_name("KEY=VALUE"),
                  "of that: an option (unit=3), or what a row has (register.address=100); a key "
                  "that is given again begins the next row");
  o.add_options()("for", po::value<std::string>()->default_value("10s")->value_name("TIME"),
                  "how long to wait for what has not come");
}

int read(const Call& call) {
  const bool written = call.given.count("plugin") > 0;
  if (written == !call.words.empty() || (!written && call.given.count("set") > 0)) {
    (void)fail("usage: fieldpost read INSTANCE, or fieldpost read --plugin TYPE --set KEY=VALUE…");
    return kUsage;
  }
  if (written) return read_written(call, call.given["plugin"].as<std::string>());
  const auto had = ask_agent(call, call.words[0]);
  if (!had) return fail(had.error().message);
  if (*had) return print(call, **had);
  Call all = call;
  all.words.clear();
  const Loaded loaded = load(all);
  if (!loaded.usable()) return print_problems(loaded), kConfig;
  return read_here(call, loaded.config, call.words[0]);
}

}  // namespace fieldpost::cli
