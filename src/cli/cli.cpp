// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <thread>

#include "base/text.hpp"
#include "cli/client.hpp"

namespace fieldpost::cli {
namespace {

void json_option(po::options_description& o) { o.add_options()("json", "print JSON"); }

void send_options(po::options_description& o) {
  o.add_options()("time", po::value<std::string>()->value_name("TIME"),
                  "when it was measured: milliseconds since 1970, or 2026-01-31T12:00:00Z "
                  "(default: now)");
}

void outbox_options(po::options_description& o) {
  const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
  json_option(o);
  o.add_options()("format", text("FORMAT"), "of export: csv (the default) or jsonl, JSON lines");
  o.add_options()("device", text("DEVICE"), "export: only this one, by name or Losant id");
  o.add_options()("output", text("FILE"), "export, salvage: where to (export's default: stdout)");
  o.add_options()("file", text("FILE"), "a copy of an outbox.db instead of the agent's");
  o.add_options()("state-dir",
                  po::value<std::string>()->default_value(Paths().state_dir)->value_name("PATH"),
                  "where the outbox of an agent that does not run is");
}

void report_options(po::options_description& o) {
  o.add_options()("state-dir",
                  po::value<std::string>()->default_value(Paths().state_dir)->value_name("PATH"),
                  "where the outbox and the black box are");
  o.add_options()("unit", po::value<std::string>()->default_value("fieldpost")->value_name("UNIT"),
                  "the service whose log is taken");
}

void apply_options(po::options_description& o) {
  o.add_options()("confirm", po::value<std::string>()->default_value("10min")->value_name("TIME"),
                  "how long the broker has to acknowledge a publish, such as 10min or 90s (at "
                  "least 10s); 0 or none: there is no way back");
  o.add_options()("rollback", "end it by hand: the configuration that ran before, files and all");
  o.add_options()("keep", "end it by hand: what is in place stays, whatever the broker does");
}

constexpr size_t kAny = SIZE_MAX;

constexpr Subcommand kSubcommands[] = {
    {"setup", "", "Set up this gateway, and see its first state delivered",
     "Asks for the gateway's device id, access key and access secret, or takes them from its "
     "options "
     "and the environment; a secret is never an option. Checks what comes of that, writes "
     "conf.d/10-gateway.toml and the credentials and nothing else, has the service use them, and "
     "waits for the broker to acknowledge a first state: readings of the machine itself, which "
     "need "
     "no device. Lists the attributes to create in Losant. Can be run again: without --force it "
     "replaces credentials, but no 10-gateway.toml that says something else.",
     setup_options, 0, 0, setup},
    {"check", "[PATH]", "Check a configuration as a start would",
     "Reads PATH (a file, or a folder with fieldpost.toml and conf.d/), runs every plugin's own "
     "check, and prints all problems as FILE:LINE:COLUMN: KEY: what was expected. Touches no "
     "device and no network. Exit status 0: all of it would run, warnings or not; 78: not all, or "
     "nothing, as the last line says. With --live it also looks whether devices answer, the broker "
     "accepts the login, the clock is synchronised and the disk has room: of the running agent, or "
     "by trying it; nothing is written and no output is driven. Then 0: fine, 1: warnings, 2: "
     "errors, each with what to do.",
     check_options, 0, 1, check},
    {"status", "", "Show uplink, outbox, plugins and units",
     "What the running agent does: connection, what waits to be sent and how old the oldest is, "
     "and each plugin and unit with its last good reading and its errors.",
     json_option, 0, 0, status},
    {"watch", "", "Show readings as they come",
     "Prints every reading of the running agent, good or not, until Ctrl-C.", json_option, 0, 0,
     watch},
    {"read", "[INSTANCE]", "Read an instance once, with or without the agent",
     "What INSTANCE, a [[plugin]] of the configuration, reads now: as the running agent has it, or "
     "else with a process of its own, which opens the device, polls it once and closes it. "
     "`fieldpost read --plugin modbus --set url=tcp://10.0.0.5 --set register.attribute=t --set "
     "register.table=holding --set register.address=100` needs no configuration at all; where the "
     "agent has the line, it reads for us in between. A line or chip that another program has is "
     "not touched. Exit status 0: everything was read; 1: not.",
     read_options, 0, 1, read},
    {"scan", "serial|i2c [BUS]|gpio|iio|modbus URL", "Show what hardware this machine has",
     "`serial`: ports, by the name that stays the same, and who has them. `i2c`: addresses that "
     "answer. `gpio`: chips and lines, and who has them. `iio`: sensors that a driver of the "
     "kernel has. `modbus URL`: units that answer on a line, the agent's too, or behind a gateway. "
     "As root: others "
     "see less. Exit status 0: something was found; 1: nothing, and what to do about it.",
     scan_options, 1, 2, scan},
    {"modbus", "probe URL", "Show what a Modbus register holds, in every type and order",
     "Manuals seldom say in which order a device sends the words of a number. `fieldpost modbus "
     "probe tcp://10.0.0.5 --unit 3 --table input --address 100` reads the registers from there on "
     "once, shows each type and order side by side, and with --as the lines of a configuration for "
     "the one that makes sense. Where the agent has the line, it reads for us in between.",
     modbus_options, 2, 2, modbus},
    {"command", "DEVICE NAME [ARG=VALUE… | VALUE]", "Run a command as if the platform had sent it",
     "The running agent checks it, notes it and runs it in its turn, as one from the broker; this "
     "waits for the outcome and prints it: `done, value 21.5`, `rejected: why`. `fieldpost command "
     "boiler set-point 21.5`, `fieldpost command cabinet relay on=true`, or all arguments with "
     "--payload. A VALUE that is a number, true or false is one; quote it twice to send it as "
     "text. What comes of it is published as an attribute, but no answer is. Needs the group "
     "fieldpost-operator. Exit status 0: done; 1: not, and why.",
     command_options, 2, kAny, command},
    {"commands", "list|show NAME|history", "Show which commands there are, and the last outcomes",
     "`list`: each device's, who runs it and what it drives. `show NAME`: what it takes. "
     "`history`: what became of the newest, from the broker or from here; earlier ones are in the "
     "journal. Without an agent, `list` and `show` tell of the configuration.",
     commands_options, 1, 2, commands},
    {"write", "INSTANCE ATTR=VALUE…", "Set outputs, and read them back",
     "Runs the command that drives ATTR of INSTANCE, a [[plugin]] of the configuration; "
     "DEVICE/ATTR where units of it have attributes of one name. It asks first; --yes answers that "
     "for scripts. The running agent does it in its turn, as a command from the broker. Without an "
     "agent it is done in a process of its own, which opens the device, writes, reads back and "
     "closes it. Exit status 0: all were set.",
     write_options, 2, kAny, write},
    {"send", "[DEVICE ATTR=VALUE…]", "Post state as any program on this machine may",
     "Hands values to the running agent, which keeps them like readings of its own plugins until "
     "they are delivered. Without arguments it reads JSON lines from stdin: "
     "{\"device\": \"boiler\", \"data\": {\"temperature\": 21.5}, \"time\": 1700000000000}. "
     "A VALUE that is a number, true or false is one; quote it twice to send it as text: "
     "name='\"42\"'.",
     send_options, 0, kAny, send},
    {"outbox", "status|export|verify|salvage FILE", "Look into what waits for the broker",
     "`status`: how much waits, of which device and since when, and how long it takes to deliver. "
     "`export`: all of it as CSV or JSON lines, while the agent goes on; the sim plugin replays "
     "it. `verify`: whether the file is sound. `salvage FILE`: what can be read of a broken file, "
     "and with --output a new one of that; FILE stays as it is. Without a running agent, or with "
     "--file, the file is read directly and nothing is written.",
     outbox_options, 1, 2, outbox},
    {"report", "FILE.tar.gz", "Put together what support needs, without secrets",
     "Configuration, status, versions, the newest log, black box, plugins and how much waits for "
     "the "
     "broker, in one file that only its owner may read. Works while the agent is down. Secrets are "
     "left out or masked as ***, comments of the configuration are left out; readings are not in "
     "it. "
     "As root: others may read less, and it says what is missing. `sudo fieldpost report "
     "/tmp/report.tar.gz`",
     report_options, 1, 1, report},
    {"attributes", "[PATH]", "List every attribute, as Losant's devices must declare them",
     "Losant drops attributes that a device does not declare, without a word. This lists, for each "
     "device of the configuration, what to declare there.",
     json_option, 0, 1, attributes},
    {"plugins", "[help TYPE]", "List plugin types, or explain one",
     "`fieldpost plugins help modbus` shows its options, rows, attributes and commands.", nullptr,
     0, 2, plugins},
    {"apply", "[PATH]", "Put a configuration in place, on trial",
     "PATH is a file for conf.d, or a folder with conf.d/ and, if they are to change, "
     "fieldpost.toml and profiles/. It is checked with what else is in place, put there, and "
     "read. Unless the broker acknowledges a publish in time, the agent goes back to the "
     "configuration that ran before, whatever becomes of this command, the line or the power "
     "meanwhile. The command waits for the outcome, and puts the earlier files back if it has to. "
     "Exit status 0: confirmed.",
     apply_options, 0, 1, apply},
    {"reload", "", "Read the configuration again",
     "As `systemctl reload fieldpost`: what did not change goes on undisturbed; with an error the "
     "old configuration stays.",
     nullptr, 0, 0, reload},
    {"reconnect", "", "Connect to the broker now instead of waiting",
     "Ends the pause between two attempts.", nullptr, 0, 0, reconnect},
    {"version", "", "Print the version", "", nullptr, 0, 0, version},
};

std::string wrap(std::string_view text, size_t width = 78) {
  std::string out;
  size_t column = 0;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (column > 0 && column + 1 + word.size() > width) out += '\n', column = 0;
    if (column > 0) out += ' ', ++column;
    out += word;
    column += word.size();
  }
  return out;
}

int usage() {
  std::cout << "Usage: fieldpost COMMAND [OPTION…]\n\nCommands:\n";
  for (const Subcommand& c : kSubcommands) {
    std::printf("  %-12s %s\n", std::string(c.name).c_str(), std::string(c.summary).c_str());
    (void)std::fflush(stdout);
  }
  std::cout << "\n`fieldpost COMMAND --help` explains one.\n";
  return 0;
}

int explain(const Subcommand& c, const po::options_description& options) {
  std::cout << "Usage: fieldpost " << c.name << (c.words.empty() ? "" : " ") << c.words
            << " [OPTION…]\n\n"
            << c.summary << ".\n";
  if (!c.help.empty()) std::cout << wrap(c.help) << "\n";
  std::cout << "\n" << options;
  return 0;
}

int run_one(const Subcommand& command, std::span<const std::string> args) {
  Call call{.paths = default_paths()};
  po::options_description visible = common_options(call.paths);
  if (command.options != nullptr) command.options(visible);
  po::options_description all;
  all.add(visible).add_options()("words", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("words", -1);
  try {
    po::store(
        po::command_line_parser(std::vector(args.begin(), args.end()))
            .options(all)
            .positional(positional)
            .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
            .run(),
        call.given);
    po::notify(call.given);
  } catch (const po::error& e) {
    (void)fail(e.what());
    return kUsage;
  }
  if (call.given.count("help") > 0) return explain(command, visible);
  if (call.given.count("words") > 0)
    call.words = call.given["words"].as<std::vector<std::string>>();
  if (call.words.size() < command.min_words || call.words.size() > command.max_words) {
    (void)fail("usage: fieldpost " + std::string(command.name) + " " + std::string(command.words));
    return kUsage;
  }
  return command.run(call);
}

}  // namespace

po::options_description common_options(Paths& paths) {
  po::options_description o("Options");
  const auto path = [](std::string& s) {
    return po::value(&s)->default_value(s)->value_name("PATH");
  };
  o.add_options()("help,h", "explain, and do nothing");
  o.add_options()("config", path(paths.config), "configuration: a file, or a folder");
  o.add_options()("run-dir", path(paths.run_dir), "where the running agent's sockets are");
  o.add_options()("plugin-dir", path(paths.plugin_dir), "where the plugins are");
  o.add_options()("plugin-host", path(paths.plugin_host), "the program that runs a plugin");
  return o;
}

std::span<const Subcommand> subcommands() { return kSubcommands; }

int fail(std::string_view message) {
  std::cerr << "fieldpost: " << message << "\n";
  return kFailed;
}

int reconnect(const Call& call) {
  auto client = ControlClient::connect(call.paths, true);
  if (!client) return fail(client.error().message);
  const auto answer = client->ask(Json{{"do", "reconnect"}});
  return answer ? 0 : fail(answer.error().message);
}

// The agent reads its configuration beside its work; its status tells when that is over.
int reload(const Call& call) {
  auto client = ControlClient::connect(call.paths, true);
  if (!client) return fail(client.error().message);
  const auto started = client->ask(Json{{"do", "reload"}});
  if (!started) return fail(started.error().message);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < deadline) {
    const auto answer = client->ask(Json{{"do", "status"}});
    if (!answer) return fail(answer.error().message);
    const Json& config = (*answer)["status"]["config"];
    if (config["loads"] > (*started)["loads"]) {
      const std::string trouble = config["trouble"];
      return trouble.empty() ? (std::cout << "the configuration was read again\n", 0)
                             : fail(trouble);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return fail("the agent has not read its configuration within a minute; see its log");
}

int version(const Call&) {
  std::cout << "fieldpost " << kVersion << "\n";
  return 0;
}

int run(std::span<const std::string> args) {
  if (args.empty()) return usage(), kUsage;
  if (args[0] == "help" && args.size() > 1) {  // as `COMMAND --help`
    const std::vector<std::string> turned{args[1], "--help"};
    return run(turned);
  }
  if (args[0] == "--help" || args[0] == "-h" || args[0] == "help") return usage();
  if (args[0] == "--version") return version({});
  if (args[0].starts_with('-')) {
    (void)fail("expected a command before '" + printable(args[0], 80) + "'; see fieldpost --help");
    return kUsage;
  }
  std::vector<std::string_view> names;
  for (const Subcommand& command : kSubcommands) {
    if (command.name == args[0]) return run_one(command, args.subspan(1));
    names.push_back(command.name);
  }
  const std::string_view near = nearest(args[0], names);
  (void)fail(
      "unknown command '" + printable(args[0], 80) + "'" +
      (near.empty() ? "; see fieldpost --help" : "; did you mean '" + std::string(near) + "'?"));
  return kUsage;
}

}  // namespace fieldpost::cli
