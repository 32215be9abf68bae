// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iostream>

#include "base/text.hpp"
#include "cli/check_live.hpp"
#include "cli/cli.hpp"
#include "config/load.hpp"
#include "supervisor/probe.hpp"

namespace fieldpost::cli {
namespace {

// "1 device", "2 devices".
std::string count(size_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

// What the problems mean for a start; false if there are none but warnings.
bool judge(const Loaded& loaded) {
  const auto number = [&](Problem::Severity severity) {
    return static_cast<size_t>(std::ranges::count(loaded.problems, severity, &Problem::severity));
  };
  if (const size_t errors = number(Problem::Severity::Error); errors > 0) {
    (void)fail(count(errors, "error") + ": this configuration will not be used");
  } else if (number(Problem::Severity::Instance) > 0) {
    (void)fail("this configuration can be used, but not what is named above");
  } else {
    return false;
  }
  return true;
}

// Exit status: 0 all is fine, 1 there are warnings, 2 errors.
int tell(const std::vector<Finding>& findings) {
  constexpr const char* kWords[] = {"fine   ", "warning", "error  "};
  int worst = 0;
  for (const Finding& f : findings) {
    const int grade = static_cast<int>(f.grade);
    std::cout << kWords[grade] << "  " << f.about << ": " << f.text << "\n";
    worst = std::max(worst, grade);
  }
  return worst;
}

}  // namespace

Loaded load(const Call& call) {
  Probe probe(call.paths.plugin_host, call.paths.plugin_dir);
  return load_config(call.words.empty() ? call.paths.config : call.words[0], probe,
                     call.paths.profile_folders());
}

void print_problems(const Loaded& loaded, const PlaceName& name) {
  for (const Problem& p : loaded.problems) {
    std::cerr << (name ? name(to_string(p)) : to_string(p)) << "\n";
  }
}

bool is_fine(const Loaded& loaded, const PlaceName& name) {
  print_problems(loaded, name);
  return !judge(loaded);
}

void check_options(po::options_description& o) {
  o.add_options()("live", "and look whether what it names is there");
}

namespace {

// What becomes of an output when something fails, by the host of its plugin.
std::string covered(const GuardRule& rule) {
  if (!rule.safe) return "keeps what it has, whatever ends";
  const std::string safe = to_text(*rule.safe);
  std::string when;
  const auto add = [&](const std::string& what) { when += (when.empty() ? "" : "; ") + what; };
  if (!rule.hold_at_stop) add("when plugin or agent end, and when they start");
  if (rule.uplink_silent.count() > 0) {
    add("after " + about(rule.uplink_silent) + " without a word from the broker");
  }
  if (rule.max_on.count() > 0) add("after " + about(rule.max_on) + " on");
  return when.empty() ? "keeps what it has, whatever ends" : "set to " + safe + " " + when;
}

// For each output who makes it safe; those that nobody guards in one line.
void print_outputs(const Config& config) {
  std::string unguarded;
  for (const PluginConfig& plugin : config.plugins) {
    for (const auto& command : plugin.declaration.commands) {
      const std::string name = plugin.name + ": " + command.spec.name;
      const auto& guards = plugin.instance.guards;
      const auto rule = std::ranges::find(guards, command.spec.name, &GuardRule::command);
      if (rule != guards.end()) {
        std::cout << "output " << name << ": " << covered(*rule) << "\n";
      } else if (!command.spec.output.empty()) {
        unguarded += (unguarded.empty() ? "" : ", ") + name;
      }
    }
  }
  if (unguarded.empty()) return;
  std::cout << "without a guard, so that they keep what they have (docs/outputs.md): " << unguarded
            << "\n";
}

}  // namespace

int check(const Call& call) {
  const Loaded loaded = load(call);
  if (!is_fine(loaded)) return kConfig;
  if (call.given.count("live") > 0) return tell(look_live(call.paths, loaded.config));
  size_t attributes = 0;
  size_t commands = 0;
  for (const PluginConfig& plugin : loaded.config.plugins) {
    attributes += plugin.declaration.attributes.size();
    commands += plugin.declaration.commands.size();
  }
  std::string brokers;
  for (const BrokerAddress& broker : loaded.config.uplink.brokers) {
    brokers += (brokers.empty() ? "" : " or ") + broker.url;
  }
  std::cout << "fine: " << count(loaded.config.devices.size(), "device") << ", "
            << count(loaded.config.plugins.size(), "plugin") << ", "
            << count(attributes, "attribute") << ", " << count(commands, "command") << ", upstream "
            << brokers << "\n";
  print_outputs(loaded.config);
  return 0;
}

}  // namespace fieldpost::cli
