// SPDX-License-Identifier: Apache-2.0
//
// `fieldpost modbus probe`: what lies at an address, in every way in which it can be read. Manuals
// seldom say in which order a device sends the words of a float, and often what they say is wrong.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <set>

#include "base/text.hpp"
#include "cli/cli.hpp"
#include "cli/json_words.hpp"
#include "cli/line.hpp"
#include "cli/written_instance.hpp"
#include "model/value_json.hpp"
#include "supervisor/probe.hpp"

namespace fieldpost::cli {
namespace {

constexpr nanoseconds kLimit = std::chrono::seconds(20);

// One way to read it.
struct Way {
  std::string type, word_order;  // of a single word: no order
};

std::string order_of(const Way& way) {
  return way.word_order.empty() ? "" : way.word_order == "big" ? "ABCD" : "CDAB";
}

std::string name_of(const Way& way) {
  const std::string order = order_of(way);
  return way.type + (order.empty() ? "" : "," + order);
}

std::vector<std::string> choices_of(const PluginInfo& modbus, const std::string& option) {
  for (const TableSpec& table : modbus.tables) {
    if (table.name != "register") continue;
    const auto found = std::ranges::find(table.options, option, &OptionSpec::name);
    if (found != table.options.end()) return found->choices;
  }
  return {};
}

bool is_single(const std::string& type) { return type.ends_with("16") || type.ends_with("8"); }

// The types that need nothing said beside their name.
std::vector<Way> ways(const PluginInfo& modbus, const std::string& table) {
  if (table == "coil" || table == "discrete") return {{"bool", ""}};
  std::vector<Way> found;
  for (const std::string& type : choices_of(modbus, "type")) {
    const bool number = type.starts_with("int") || type.starts_with("uint") ||
                        type.starts_with("float") || type.starts_with("bcd");
    if (!number) continue;
    if (is_single(type)) {
      found.push_back({type, ""});
      continue;
    }
    for (const std::string& order : choices_of(modbus, "word_order"))
      found.push_back({type, order});
  }
  return found;
}

// The rows of a configuration that reads in all ways; the attribute of each is its number.
std::vector<Setting> settings_of(const Call& call, const std::vector<Way>& all) {
  const auto given = [&](const char* name) { return call.given[name].as<std::string>(); };
  std::vector<Setting> settings{{"url", call.words[1]}, {"unit", given("unit")}};
  for (size_t i = 0; i < all.size(); ++i) {
    settings.push_back({"register.attribute", "way" + std::to_string(i)});
    settings.push_back({"register.table", given("table")});
    settings.push_back({"register.address", given("address")});
    settings.push_back({"register.type", all[i].type});
    if (!all[i].word_order.empty()) {
      settings.push_back({"register.word_order", all[i].word_order});
    }
  }
  return settings;
}

std::string words_of(const std::optional<Reading>& reading) {
  if (!reading) return "nothing came";
  if (reading->quality != Quality::Good) {
    return std::string(fieldpost::name_of(reading->quality)) + " (" + printable(reading->detail) +
           ")";
  }
  return value_words(to_json(reading->value));
}

void print_row(const Call& call, const Way& way) {
  std::cout << "\n[[plugin.register]]\nattribute = \"value\"\ntable = \""
            << call.given["table"].as<std::string>()
            << "\"\naddress = " << call.given["address"].as<std::string>() << "\ntype = \""
            << way.type << "\"\n";
  if (!way.word_order.empty()) std::cout << "word_order = \"" << way.word_order << "\"\n";
}

int print(const Call& call, const std::vector<Way>& all, const OneReading& taken) {
  if (taken.silent[0]) return fail(*taken.silent[0]);
  const std::string chosen = call.given.count("as") > 0 ? call.given["as"].as<std::string>() : "";
  const Way* row = nullptr;
  for (size_t i = 0; i < all.size(); ++i) {
    const std::string order = order_of(all[i]);
    std::cout << all[i].type << std::string(9 - std::min<size_t>(8, all[i].type.size()), ' ')
              << (order.empty() ? "    " : order) << "  " << words_of(taken.attributes[i]) << "\n";
    const bool first_of_type = chosen == all[i].type && row == nullptr;
    if (chosen == name_of(all[i]) || first_of_type) row = &all[i];
  }
  if (row != nullptr) print_row(call, *row);
  if (chosen.empty()) {
    std::cout << "\nFor the lines of a configuration: --as " << name_of(all.back()) << "\n";
  }
  if (!chosen.empty() && row == nullptr) {
    return fail("--as " + printable(chosen, 40) + ": not one of those above");
  }
  return 0;
}

}  // namespace

void modbus_options(po::options_description& o) {
  const auto text = [](const char* fallback, const char* name) {
    return po::value<std::string>()->default_value(fallback)->value_name(name);
  };
  o.add_options()("unit", text("1", "N"), "address of the unit on its bus");
  o.add_options()("table", text("holding", "TABLE"), "coil, discrete, input or holding");
  o.add_options()("address", text("0", "N"), "as it is on the wire, from 0");
  o.add_options()("as", po::value<std::string>()->value_name("TYPE[,ORDER]"),
                  "print the lines for a configuration that read it so: float32,CDAB");
}

int modbus(const Call& call) {
  if (call.words[0] != "probe") {
    (void)fail("usage: fieldpost modbus probe URL --table holding --address 100");
    return kUsage;
  }
  Probe probe(call.paths.plugin_host, call.paths.plugin_dir);
  const auto plugin = probe.describe("modbus");
  if (!plugin) {
    return fail(plugin.error().message + (plugin.error().code == Errc::NotFound
                                              ? ": sudo apt install fieldpost-plugin-modbus"
                                              : ""));
  }
  const std::vector<Way> all = ways(*plugin, call.given["table"].as<std::string>());
  const auto config = load_written(call.paths, "modbus", settings_of(call, all));
  if (!config) return (void)fail(config.error().message), kUsage;
  const auto taken = read_wherever(call.paths, config->plugins[0], kLimit);
  return taken ? print(call, all, *taken) : fail(taken.error().message);
}

}  // namespace fieldpost::cli
