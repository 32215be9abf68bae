// SPDX-License-Identifier: Apache-2.0
//
// `fieldpost write`: sets outputs by their attributes, and shows what is read back. Through the
// agent where it has the instance; else in a host of its own.
#include <algorithm>
#include <iostream>

#include "base/text.hpp"
#include "cli/assignments.hpp"
#include "cli/cli.hpp"
#include "cli/client.hpp"
#include "cli/instance_answer.hpp"
#include "cli/json_words.hpp"
#include "cli/line.hpp"
#include "cli/outcome.hpp"
#include "cli/prompt.hpp"
#include "commands/arguments.hpp"
#include "commands/command_list.hpp"
#include "model/value_json.hpp"
#include "supervisor/one_reading.hpp"

namespace fieldpost::cli {
namespace {

// One output to set: the attribute that shows it, the command that drives it.
struct Write {
  std::string attribute;  // as it was given
  Json value;
  Json command;  // in the form of the control protocol
};

// The attribute by which people know what a command drives.
std::string shown_by(const Json& command) {
  const std::string readback = text_of(command, "readback");
  return readback.empty() ? text_of(command, "output") : readback;
}

std::string full_name(const Json& command) {
  return text_of(command, "device") + "/" + shown_by(command);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// `commands` are those of the instance that take a value.
Result<Json> driver_of(const Json& commands, const std::string& attribute) {
  std::vector<std::string> all, fitting, names;
  Json found;
  for (const Json& command : commands) {
    const std::string name = shown_by(command);
    all.push_back(name);
    if (attribute != name && attribute != full_name(command)) continue;
    fitting.push_back(full_name(command));
    names.push_back(text_of(command, "command"));
    found = command;
  }
  const std::string shown = "'" + printable(attribute, 80) + "'";
  if (all.empty()) return Error{Errc::Invalid, "nothing of it can be written: it has no commands"};
  if (fitting.empty()) {
    std::ranges::sort(all);
    const auto twice = std::ranges::unique(all);
    all.erase(twice.begin(), twice.end());
    return Error{Errc::Invalid,
                 "no command drives " + shown + "; what can be written is: " + joined(all)};
  }
  if (fitting.size() == 1) return found;
  if (std::ranges::count(fitting, fitting[0]) == static_cast<ptrdiff_t>(fitting.size())) {
    return Error{Errc::Invalid, "more than one command drives " + shown + ": " + joined(names) +
                                    "; run the one that is meant with  fieldpost command"};
  }
  return Error{Errc::Invalid, shown + " is there more than once; write one of: " + joined(fitting)};
}

Result<std::vector<Write>> find_all(const Call& call, const Json& commands) {
  Json drivers = Json::array();
  for (const Json& command : commands) {
    if (text_of(command, "instance") == call.words[0] && !command["arguments"].empty()) {
      drivers.push_back(command);
    }
  }
  std::vector<Write> writes;
  for (size_t i = 1; i < call.words.size(); ++i) {
    auto [attribute, value] = FP_TRY(parse_assignment(call.words[i], "ATTR=VALUE"));
    Json driver = FP_TRY(driver_of(drivers, attribute));
    writes.push_back({attribute, std::move(value), std::move(driver)});
  }
  return writes;
}

// Errors: Unavailable (nobody agrees, or is there to).
Result<> agreed(const Call& call, const std::vector<Write>& writes, bool alone) {
  if (call.given.count("yes") > 0) return {};
  if (!is_somebody_there()) {
    return Error{Errc::Unavailable,
                 "this drives an output, and nobody is there to be asked: give --yes"};
  }
  for (const Write& w : writes) {
    std::cerr << call.words[0] << ": " << full_name(w.command) << " = " << value_words(w.value)
              << "  (command " << text_of(w.command, "command") << ")\n";
  }
  if (alone) {
    std::cerr << "No agent has it: it is opened, which may drive its other outputs, and closed "
                 "again.\n";
  }
  const std::string answer = FP_TRY(ask("Write? [y/N] ", Echo::On));
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return Error{Errc::Unavailable, "nothing was written"};
}

int print(const Call& call, const std::vector<Write>& writes, std::vector<Json> outcomes) {
  bool done = outcomes.size() == writes.size();
  for (size_t i = 0; i < outcomes.size(); ++i) {
    outcomes[i]["attribute"] = writes[i].attribute;
    done = done && text_of(outcomes[i], "status") == "done";
    if (!call.json()) {
      std::cout << writes[i].attribute << "  " << outcome_words(outcomes[i]) << "\n";
    }
  }
  if (call.json()) std::cout << Json(outcomes).dump(2) << "\n";
  for (size_t i = outcomes.size(); i < writes.size(); ++i) {
    (void)fail(writes[i].attribute + ": was not tried");
  }
  return done ? 0 : kFailed;
}

int write_by_agent(const Call& call, nanoseconds limit) {
  auto agent = ControlClient::connect(call.paths, true);
  if (!agent) return fail(agent.error().message);
  const auto known = agent->ask(Json{{"do", "commands"}});
  if (!known) return fail(known.error().message);
  const auto writes = find_all(call, (*known)["commands"]);
  if (!writes) return fail(writes.error().message);
  if (const auto yes = agreed(call, *writes, false); !yes) return fail(yes.error().message);
  std::vector<Json> outcomes;
  for (const Write& w : *writes) {
    auto outcome = run_by_agent(*agent, text_of(w.command, "device_id"),
                                text_of(w.command, "command"), w.value, limit);
    if (!outcome) return (void)print(call, *writes, outcomes), fail(outcome.error().message);
    outcomes.push_back(*std::move(outcome));
    if (text_of(outcomes.back(), "status") != "done") break;
  }
  return print(call, *writes, std::move(outcomes));
}

Json to_json(const message::Outcome& outcome) {
  Json json{{"status", name_of(status_of(outcome.status))}};
  if (outcome.readback) json["value"] = fieldpost::to_json(*outcome.readback);
  if (!outcome.reason.empty()) json["reason"] = outcome.reason;
  return json;
}

// What the values are as arguments; all are checked before any is written.
Result<std::vector<message::Call>> calls_of(const std::vector<Write>& writes,
                                            const std::vector<CommandRoute>& routes,
                                            const std::string& id_pointer) {
  std::vector<message::Call> calls;
  for (const Write& w : writes) {
    const auto route = std::ranges::find_if(routes, [&](const CommandRoute& r) {
      return r.device_id == text_of(w.command, "device_id") &&
             r.spec.name == w.command["command"].get<std::string>();
    });
    auto arguments =
        FP_TRY(check_arguments(route->spec, &w.value, id_pointer).context(w.attribute));
    calls.push_back({calls.size() + 1, route->index, std::move(arguments)});
  }
  return calls;
}

int write_alone(const Call& call, const Config& config, nanoseconds limit) {
  const std::string& name = call.words[0];
  const auto plugin = find_plugin(config, name);
  if (!plugin) return fail(plugin.error().message);
  if (const auto can = can_run_here(**plugin); !can) return fail(name + ": " + can.error().message);
  const std::vector<CommandRoute> routes = routes_of(config);
  Json commands = Json::array();
  for (const CommandRoute& route : routes) commands.push_back(fieldpost::to_json(route));
  const auto writes = find_all(call, commands);
  if (!writes) return fail(writes.error().message);
  const auto calls = calls_of(*writes, routes, config.commands.id_pointer);
  if (!calls) return fail(calls.error().message);
  if (const auto yes = agreed(call, *writes, true); !yes) return fail(yes.error().message);
  const auto done =
      run_once(call.paths.plugin_host, call.paths.plugin_dir + "/" + (*plugin)->type + ".so",
               (*plugin)->instance, (*plugin)->declaration, *calls, limit, host_user(call.paths));
  if (!done) return fail(name + ": " + done.error().message);
  std::vector<Json> outcomes;
  for (const message::Outcome& outcome : *done) outcomes.push_back(to_json(outcome));
  return print(call, *writes, std::move(outcomes));
}

}  // namespace

void write_options(po::options_description& o) {
  o.add_options()("json", "print JSON");
  o.add_options()("yes,y", "do not ask");
  o.add_options()("for", po::value<std::string>()->default_value("75s")->value_name("TIME"),
                  "how long to wait for each outcome");
}

int write(const Call& call) {
  const auto limit = parse_duration(call.given["for"].as<std::string>());
  if (!limit) return (void)fail("--for: " + limit.error().message), kUsage;
  for (size_t i = 1; i < call.words.size(); ++i) {
    const auto good = parse_assignment(call.words[i], "ATTR=VALUE");
    if (!good) return (void)fail(good.error().message), kUsage;
  }
  const auto status = agent_status(call.paths);
  if (!status) return fail(status.error().message);
  if (*status) {
    const auto had = answer_in(**status, call.words[0]);
    if (!had) return fail(call.words[0] + ": " + had.error().message);
    if (*had) return write_by_agent(call, *limit);
  }
  Call all = call;
  all.words.clear();
  const Loaded loaded = load(all);
  if (!loaded.usable()) return print_problems(loaded), kConfig;
  return write_alone(call, loaded.config, *limit);
}

}  // namespace fieldpost::cli
