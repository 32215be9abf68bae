// SPDX-License-Identifier: Apache-2.0
#include "plan.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "command_line.hpp"
#include "executable.hpp"
#include "tables.hpp"

namespace exec {
namespace {

namespace sdk = fieldpost::sdk;

uint32_t type_of(const std::string& choice) {
  if (choice == "boolean") return FP_BOOLEAN;
  if (choice == "string") return FP_STRING;
  return choice == "none" ? 0 : FP_NUMBER;
}

// What the host's is and the program is not to have: whom to tell that we are alive, and its like.
bool is_ours(std::string_view entry) {
  constexpr std::array<std::string_view, 3> kOurs{"NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_"};
  return std::ranges::any_of(kOurs, [&](std::string_view own) { return entry.starts_with(own); });
}

bool is_variable_name(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && (name[0] < '0' || name[0] > '9') && std::ranges::all_of(name, fits);
}

void set(std::vector<std::string>& env, const std::string& name, const std::string& value) {
  std::erase_if(env, [&](const std::string& entry) { return entry.starts_with(name + "="); });
  env.push_back(name + "=" + value);
}

std::vector<std::string> env_of(sdk::Declare& declare) {
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!is_ours(*entry)) env.emplace_back(*entry);
  }
  set(env, "FIELDPOST_EXEC_PROTOCOL", std::to_string(kProtocol));
  set(env, "PYTHONUNBUFFERED", "1");  // else Python keeps lines back until it has 8 KiB of them
  for (const sdk::Section& row : declare.options().rows("env")) {
    const std::string name = row.text("name");
    if (!is_variable_name(name)) {
      declare.problem(row, "name", "expected a-z, A-Z, 0-9 and _, beginning with no digit");
    } else {
      set(env, name, row.text("value"));
    }
  }
  return env;
}

ProgramSpec program_of(sdk::Declare& declare, Mode mode) {
  const sdk::Section options = declare.options();
  ProgramSpec program;
  try {
    program.argv = split_command(options.text("command"));
    program.path = find_executable(program.argv.front());
  } catch (const sdk::ConfigError& e) {
    declare.problem(options, "command", e.what());
  }
  program.cwd = options.text("cwd");
  if (!program.cwd.starts_with('/')) declare.problem(options, "cwd", "expected a path from / on");
  program.has_stdin = mode == Mode::Stream;
  program.env = env_of(declare);
  return program;
}

Declared reading_of(sdk::Declare& declare, const sdk::Section& row) {
  Declared reading{row.text("attribute"), type_of(row.text("type")), 0};
  if (std::ranges::find(kReserved, reading.name) != kReserved.end()) {
    declare.problem(row, "attribute",
                    "this name tells lines of other kinds apart (docs/exec-protocol.md): "
                    "expected another");
  }
  reading.index = declare.attribute(
      0, row,
      sdk::Attribute{
          .name = reading.name.c_str(), .type = reading.type, .help = kAttributes[0].help});
  return reading;
}

// The argument `value` of a command.
sdk::Option argument_of(sdk::Declare& declare, const sdk::Section& row) {
  const std::string type = row.text("type");
  sdk::Option value{.name = "value",
                    .type = type == "integer"   ? FP_OPT_INTEGER
                            : type == "boolean" ? FP_OPT_BOOLEAN
                            : type == "string"  ? FP_OPT_TEXT
                                                : FP_OPT_NUMBER,
                    .required = true,
                    .help = "Is handed to the program."};
  if (!row.has("min") && !row.has("max")) return value;
  if (type != "number" && type != "integer") {
    declare.problem(row, row.has("min") ? "min" : "max", "is for type number and integer alone");
  } else if (!row.has("min") || !row.has("max") || row.number("min") >= row.number("max")) {
    declare.problem(row, row.has("min") ? "min" : "max", "expected min and max, min the lesser");
  } else {
    value.min = row.number("min");
    value.max = row.number("max");
  }
  return value;
}

CommandRow command_of(sdk::Declare& declare, const sdk::Section& row,
                      const std::vector<Declared>& readings) {
  CommandRow command{row.text("command"), type_of(row.text("type")), {}};
  const std::string readback = row.has("readback") ? row.text("readback") : "";
  const auto found = std::ranges::find(readings, readback, &Declared::name);
  if (found != readings.end()) {
    command.readback = static_cast<size_t>(found - readings.begin());
  } else if (!readback.empty()) {
    const std::string meant = nearest(readback, readings);
    declare.problem(row, "readback",
                    "expected the attribute of a [[plugin.reading]]" +
                        (meant.empty() ? "" : "; is '" + meant + "' meant?"));
  }
  const std::array<fp_option, 1> args{argument_of(declare, row)};
  declare.command(0, row,
                  sdk::Command{.name = command.name.c_str(),
                               .help = kCommands[0].help,
                               .args = std::span(args).first(command.argument == 0 ? 0 : 1),
                               .output = readback.empty() ? command.name.c_str() : readback.c_str(),
                               .readback = readback.empty() ? nullptr : readback.c_str(),
                               .idempotent = row.boolean("idempotent")});
  return command;
}

}  // namespace

Plan::Plan(sdk::Declare& declare) {
  const sdk::Section options = declare.options();
  mode = options.text("mode") == "poll" ? Mode::Poll : Mode::Stream;
  program = program_of(declare, mode);
  timeout = options.duration("timeout").count();
  if (options.has("silence")) silence = options.duration("silence").count();
  if (silence && mode == Mode::Poll) {
    declare.problem(options, "silence", "is for mode stream: a run has its timeout");
  }
  command_timeout = options.duration("command_timeout").count();
  const int64_t deadline = declare.deadline().count();
  if (deadline > 0 && !options.has("command_timeout")) {
    command_timeout = std::min(command_timeout, deadline / 2);
  }
  if (deadline > 0 && command_timeout >= deadline && !options.rows("command").empty()) {
    declare.problem(options, "command_timeout",
                    "expected less than the instance's deadline, at which the program is killed");
  }
  for (const sdk::Section& row : options.rows("reading")) {
    readings.push_back(reading_of(declare, row));
  }
  for (const sdk::Section& row : options.rows("command")) {
    if (mode == Mode::Poll) {
      declare.problem(row, "command", "needs mode = \"stream\": between two polls nothing runs");
    }
    commands.push_back(command_of(declare, row, readings));
  }
  if (readings.empty() && commands.empty()) {
    declare.problem(options, nullptr, "expected at least one [[plugin.reading]]");
  }
}

}  // namespace exec
