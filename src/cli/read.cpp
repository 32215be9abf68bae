// SPDX-License-Identifier: Apache-2.0
//
// `fieldpost read`: what an instance reads now.
#include <algorithm>
#include <iostream>

#include "base/text.hpp"
#include "cli/cli.hpp"
#include "cli/instance_answer.hpp"
#include "cli/json_words.hpp"
#include "cli/written_instance.hpp"

namespace fieldpost::cli {
namespace {

int print(const Call& call, const InstanceAnswer& answer) {
  const int status = answer.is_good() ? 0 : kFailed;
  if (call.json()) {
    std::cout << Json{{"units", answer.units}, {"attributes", answer.attributes}}.dump(2) << "\n";
    return status;
  }
  for (const Json& u : answer.units) {
    if (text_of(u, "state") != "silent") continue;
    std::cout << text_of(u, "name") << ": " << text_of(u, "reason") << "\n";
  }
  size_t width = 0;
  const auto name_of = [](const Json& a) {
    return text_of(a, "device") + "  " + text_of(a, "name");
  };
  for (const Json& a : answer.attributes) width = std::max(width, name_of(a).size());
  for (const Json& a : answer.attributes) {
    std::string name = name_of(a);
    name.resize(width, ' ');
    std::cout << name << "  " << words_of(a) << "\n";
  }
  return status;
}

int read_alone(const Call& call, const Config& config, const std::string& name) {
  const auto plugin = find_plugin(config, name);
  if (!plugin) return fail(plugin.error().message);
  const auto limit = parse_duration(call.given["for"].as<std::string>());
  if (!limit) return (void)fail("--for: " + limit.error().message), kUsage;
  const auto outputs = call.given.count("outputs") > 0 ? Outputs::MayBeDriven : Outputs::Spared;
  const auto answer = read_here(call.paths, config, **plugin, *limit, outputs);
  return answer ? print(call, *answer) : fail(name + ": " + answer.error().message);
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
    (void)fail(config.error().message);
    return config.error().code == Errc::Invalid ? kConfig : kFailed;
  }
  return read_alone(call, *config, type);
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
  o.add_options()("outputs", "also one that has outputs, which opening it may drive");
}

int read(const Call& call) {
  const bool written = call.given.count("plugin") > 0;
  if (written == !call.words.empty() || (!written && call.given.count("set") > 0)) {
    (void)fail("usage: fieldpost read INSTANCE, or fieldpost read --plugin TYPE --set KEY=VALUE…");
    return kUsage;
  }
  if (written) return read_written(call, call.given["plugin"].as<std::string>());
  const std::string& name = call.words[0];
  const auto status = agent_status(call.paths);
  if (!status) return fail(status.error().message);
  if (*status) {
    const auto answer = answer_in(**status, name);
    if (!answer) return fail(name + ": " + answer.error().message);
    if (*answer) return print(call, **answer);
  }
  Call all = call;
  all.words.clear();
  const Loaded loaded = load(all);
  if (!loaded.usable()) return print_problems(loaded), kConfig;
  return read_alone(call, loaded.config, name);
}

}  // namespace fieldpost::cli
