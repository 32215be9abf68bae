// SPDX-License-Identifier: Apache-2.0
//
// `fieldpost command` runs one as if it had come from the broker; `fieldpost commands` shows which
// there are, and what became of the last.
#include <algorithm>
#include <iostream>

#include "base/text.hpp"
#include "cli/assignments.hpp"
#include "cli/cli.hpp"
#include "cli/client.hpp"
#include "cli/json_words.hpp"
#include "cli/outcome.hpp"
#include "commands/command_list.hpp"

namespace fieldpost::cli {
namespace {

Result<Json> payload_of(const Call& call) {
  if (call.given.count("payload") > 0) {
    if (call.words.size() > 2) {
      return Error{Errc::Invalid, "arguments or --payload, not both"};
    }
    return parse_json(call.given["payload"].as<std::string>()).context("--payload");
  }
  if (call.words.size() == 3 && call.words[2].find('=') == std::string::npos) {
    return value_of(call.words[2]);
  }
  Json arguments;  // none: no payload
  for (size_t i = 2; i < call.words.size(); ++i) {
    auto [name, value] = FP_TRY(parse_assignment(call.words[i], "ARG=VALUE"));
    arguments[name] = std::move(value);
  }
  return arguments;
}

// "value=NUMBER" as it has to be typed, in brackets what may be left out.
std::string usage_of(const Json& command) {
  std::string usage;
  for (const Json& argument : command["arguments"]) {
    const bool required = argument["required"];
    usage += std::string(usage.empty() ? "" : " ") + (required ? "" : "[") +
             text_of(argument, "name") + "=…" + (required ? "" : "]");
  }
  return usage;
}

std::string driver_of(const Json& command) {
  const std::string instance = text_of(command, "instance");
  const std::string output = text_of(command, "output");
  if (instance.empty()) return "the agent itself";
  return output.empty() ? instance : instance + ": " + output;
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    std::cout << line << "\n";
  }
}

void print_command(const Json& command) {
  std::cout << text_of(command, "device") << "  " << text_of(command, "command") << "\n";
  if (const std::string help = text_of(command, "help"); !help.empty()) {
    std::cout << "  " << help << "\n";
  }
  std::cout << "  run by " << driver_of(command) << "\n";
  if (const std::string shown = text_of(command, "readback"); !shown.empty()) {
    std::cout << "  its effect is shown by the attribute " << shown << "\n";
  }
  for (const Json& argument : command["arguments"]) {
    std::cout << "  " << text_of(argument, "name") << ": " << text_of(argument, "expected");
    if (const std::string unit = text_of(argument, "unit"); !unit.empty()) {
      std::cout << ", in " << unit;
    }
    if (argument.contains("default")) {
      std::cout << " (default: " << text_of(argument, "default") << ")";
    } else if (!argument["required"]) {
      std::cout << " (may be left out)";
    }
    if (const std::string help = text_of(argument, "help"); !help.empty()) {
      std::cout << ". " << help;
    }
    std::cout << "\n";
  }
}

// Of the running agent; without one, of the configuration, which has no history.
Result<Json> commands_here(const Call& call) {
  auto agent = ControlClient::connect(call.paths, false);
  if (agent) return agent->ask(Json{{"do", "commands"}});
  if (agent.error().code != Errc::NotFound) return agent.error();
  Call all = call;
  all.words.clear();
  const Loaded loaded = load(all);
  if (!loaded.usable()) {
    print_problems(loaded);
    return Error{Errc::Invalid, "no agent runs, and the configuration cannot be used"};
  }
  Json commands = Json::array();
  for (const CommandRoute& route : routes_of(loaded.config)) commands.push_back(to_json(route));
  return Json{{"commands", std::move(commands)}};
}

int print_list(const Call& call, const Json& commands) {
  if (call.json()) return std::cout << commands.dump(2) << "\n", 0;
  std::vector<std::vector<std::string>> rows;
  for (const Json& c : commands) {
    rows.push_back({text_of(c, "device"), text_of(c, "command"), driver_of(c), usage_of(c)});
  }
  print_table(rows);
  return 0;
}

int show(const Call& call, const Json& commands) {
  Json found = Json::array();
  std::vector<std::string> names;
  for (const Json& c : commands) {
    names.push_back(text_of(c, "command"));
    if (names.back() == call.words[1]) found.push_back(c);
  }
  if (found.empty()) {
    const std::string_view near =
        nearest(call.words[1], std::vector<std::string_view>(names.begin(), names.end()));
    return fail("there is no command '" + printable(call.words[1], 80) + "'" +
                (near.empty() ? "; see  fieldpost commands list"
                              : "; did you mean '" + std::string(near) + "'?"));
  }
  if (call.json()) return std::cout << found.dump(2) << "\n", 0;
  for (const Json& c : found) print_command(c);
  return 0;
}

int print_history(const Call& call, const Json& answer) {
  const auto most = static_cast<size_t>(std::max(call.given["number"].as<int>(), 0));
  Json kept = answer["history"];
  while (kept.size() > most) kept.erase(kept.begin());
  if (call.json()) return std::cout << kept.dump(2) << "\n", 0;
  std::vector<std::vector<std::string>> rows;
  for (const Json& outcome : kept) {
    rows.push_back({format_utc(outcome["time"]), text_of(outcome, "cause"),
                    text_of(outcome, "device"), text_of(outcome, "command"),
                    outcome_words(outcome)});
  }
  print_table(rows);
  // On stderr, so that the table stays one.
  std::cerr << "Earlier ones are in the journal:  journalctl -u fieldpost FP_COMMAND=NAME\n";
  return 0;
}

}  // namespace

void command_options(po::options_description& o) {
  o.add_options()("json", "print JSON");
  o.add_options()("payload", po::value<std::string>()->value_name("JSON"),
                  "all arguments at once, as a platform sends them");
  o.add_options()("for", po::value<std::string>()->default_value("75s")->value_name("TIME"),
                  "how long to wait for the outcome");
}

int command(const Call& call) {
  const auto payload = payload_of(call);
  if (!payload) return (void)fail(payload.error().message), kUsage;
  const auto limit = parse_duration(call.given["for"].as<std::string>());
  if (!limit) return (void)fail("--for: " + limit.error().message), kUsage;
  auto agent = ControlClient::connect(call.paths, true);
  if (!agent) return fail(agent.error().message);
  const auto outcome = run_by_agent(*agent, call.words[0], call.words[1], *payload, *limit);
  if (!outcome) return fail(outcome.error().message);
  std::cout << (call.json() ? outcome->dump(2) : outcome_words(*outcome)) << "\n";
  return text_of(*outcome, "status") == "done" ? 0 : kFailed;
}

void commands_options(po::options_description& o) {
  o.add_options()("json", "print JSON");
  o.add_options()("number,n", po::value<int>()->default_value(20)->value_name("N"),
                  "history: so many of the newest");
}

int commands(const Call& call) {
  const std::string& what = call.words[0];
  if ((what != "list" && what != "show" && what != "history") ||
      (what == "show") != (call.words.size() == 2)) {
    (void)fail("usage: fieldpost commands list, commands show NAME, or commands history");
    return kUsage;
  }
  const auto answer = commands_here(call);
  if (!answer) return fail(answer.error().message);
  if (what == "list") return print_list(call, (*answer)["commands"]);
  if (what == "show") return show(call, (*answer)["commands"]);
  if (!answer->contains("history")) {
    return fail(
        "no agent runs, and what became of commands is in the journal alone: "
        "journalctl -u fieldpost FP_COMMAND=NAME");
  }
  return print_history(call, *answer);
}

}  // namespace fieldpost::cli
