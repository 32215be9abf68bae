// SPDX-License-Identifier: Apache-2.0
#include "config/guard_table.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "base/text.hpp"
#include "config/forms.hpp"
#include "config/into.hpp"
#include "config/options.hpp"

namespace fieldpost {
namespace {

using enum OptionType;

constexpr const char* kSafe = "safe";
constexpr const char* kPath = "plugin.guard";

struct GuardRow : GuardRule {
  std::string at_stop;
};

std::vector<CoreOption> make_options() {
  const auto duration = [](const char* name, auto store, const char* help, const char* example) {
    return CoreOption{
        .spec = {.name = name, .type = Duration, .help = help, .min = 0, .max = 30 * kDay},
        .store = store,
        .example = example};
  };
  return {
      {.spec = {.name = "command",
                .required = true,
                .help = "That drives the output, as `fieldpost commands list` has it. It has one "
                        "argument."},
       .store = into<&GuardRow::command>,
       .example = "pump"},
      {.spec = {.name = kSafe,
                .help = "What the output is set to when nobody watches over it. Unless given: it "
                        "keeps what it has."},
       .store = nowhere,
       .form = "a value of the command's argument",
       .example = "false"},
      {.spec = {.name = "at_stop",
                .type = Choice,
                .help = "\"safe\", as wherever `safe` is given: `safe` is driven when the plugin "
                        "stops, or its agent ends in whatever way, and again when it starts. "
                        "\"hold\": the output keeps what it has.",
                .choices = {"safe", "hold"}},
       .store = into<&GuardRow::at_stop>},
      duration("uplink_silent", into<&GuardRow::uplink_silent>,
               "When nothing has come from the broker for so long, `safe` is driven. At least one "
               "and a half times uplink.keepalive, after which a quiet broker is asked.",
               "5min"),
      duration("min_on", into<&GuardRow::min_on>,
               "Who switches it off sooner is refused. On is true, or a number other than 0.",
               "30s"),
      duration("min_off", into<&GuardRow::min_off>,
               "Who switches it on sooner is refused; counted from the start of the plugin as "
               "well.",
               "3min"),
      duration("max_on", into<&GuardRow::max_on>, "After that `safe` is driven.", "1h"),
      {.spec = {.name = "max_rate",
                .type = Integer,
                .help = "How often the value may change in any minute; more is refused.",
                .min = 1,
                .max = 6000},
       .store = into<&GuardRow::max_rate>,
       .example = "6"},
      {.spec = {.name = "interlock",
                .help = "Of the instance's outputs with the same word here one is on at a time; "
                        "who switches on another is refused."},
       .store = into<&GuardRow::interlock>,
       .check = forms::local_name,
       .form = "a name",
       .example = "direction"},
  };
}

Node without_safe(const Node& row) {
  Node rest = row;
  std::erase_if(rest.members, [](const Member& member) { return member.key == kSafe; });
  return rest;
}

// Of one row, when the plugin has declared.
class Check {
 public:
  Check(const Node& row, const Declaration& declaration, GuardRule& rule, Problems& problems)
      : row_(&row), declaration_(&declaration), rule_(&rule), problems_(&problems) {}

  // Whether there is an argument to guard.
  bool find_argument() {
    std::vector<std::string_view> names;
    for (const auto& command : declaration_->commands) names.push_back(command.spec.name);
    const auto found = std::ranges::find(names, rule_->command);
    if (found == names.end()) {
      complain("command", "the instance has no '" + rule_->command + "'" +
                              did_you_mean(rule_->command, names));
      return false;
    }
    command_ = &declaration_->commands[static_cast<size_t>(found - names.begin())].spec;
    if (command_->args.size() == 1) return true;
    complain("command", "'" + rule_->command + "' has " + std::to_string(command_->args.size()) +
                            " arguments; what has one can be guarded");
    return false;
  }

  void read_safe() {
    const Member* given = row_->find(kSafe);
    if (given == nullptr) return;
    rule_->safe = check_value(command_->args[0], given->value, join(kPath, kSafe), *problems_);
  }

  void check_rules(nanoseconds keepalive) {
    const bool has_safe = row_->find(kSafe) != nullptr;
    for (const char* key : {"at_stop", "uplink_silent", "max_on"}) {
      const Member* given = row_->find(key);
      if (given == nullptr || has_safe || given->value.value == Value(std::string("hold")))
        continue;
      complain(key, "it needs `safe`, the value that is driven then");
    }
    if (rule_->uplink_silent.count() > 0 && rule_->uplink_silent < keepalive * 3 / 2) {
      complain("uplink_silent", "a quiet broker is heard of every uplink.keepalive, " +
                                    about(keepalive) + "; expected at least " +
                                    about(keepalive * 3 / 2) + ", or a shorter keepalive");
    }
    check_switches();
    if (!rule_->interlock.empty() && (rule_->hold_at_stop || !has_safe)) {
      complain("interlock", "it needs `safe`, driven at a start: what is on then is not known");
    }
  }

  void check_siblings() {
    if (command_->output.empty()) return;
    for (const auto& other : declaration_->commands) {
      if (&other.spec == command_ || other.spec.output != command_->output) continue;
      problems_->warning(value_at(*row_, "command"),
                         std::string(kPath) + ".command: '" + other.spec.name + "' drives " +
                             command_->output + " as well, and passes this guard by");
    }
  }

 private:
  // What is on, and what off, only a boolean or a number tells; and off has to be safe.
  void check_switches() {
    const OptionType type = command_->args[0].type;
    const bool is_switch = type == Boolean || type == Number || type == Integer;
    for (const char* key : {"min_on", "min_off", "max_on", "interlock"}) {
      if (row_->find(key) == nullptr) continue;
      if (!is_switch) complain(key, "'" + command_->args[0].name + "' is neither on nor off");
    }
    for (const char* key : {"max_on", "interlock"}) {
      if (row_->find(key) != nullptr && rule_->safe && is_on(*rule_->safe)) {
        complain(key, "`safe` is on: expected false, or 0");
      }
    }
  }

  void complain(const char* key, const std::string& what) {
    problems_->error(value_at(*row_, key), join(kPath, key) + ": " + what);
  }

  const Node* row_;
  const Declaration* declaration_;
  GuardRule* rule_;
  Problems* problems_;
  const CommandSpec* command_ = nullptr;
};

}  // namespace

std::span<const CoreOption> guard_options() {
  static const std::vector<CoreOption> options = make_options();
  return options;
}

std::vector<GuardRule> read_guards(const Node& plugin, Problems& problems) {
  std::vector<GuardRule> guards;
  const Member* rows = plugin.find(kGuardTable);
  if (rows == nullptr || !expect_rows(rows->value, rows->at, kPath, problems)) return guards;
  for (const Node& row : rows->value.items) {
    refuse_unknown(row, kPath, names_of(guard_options()), problems);
    GuardRow read;
    read_options(without_safe(row), guard_options(), &read, kPath, false, problems);
    read.hold_at_stop = read.at_stop == "hold" || row.find(kSafe) == nullptr;
    if (std::ranges::find(guards, read.command, &GuardRule::command) != guards.end()) {
      problems.error(value_at(row, "command"),
                     std::string(kPath) + ".command: '" + read.command + "' has a row already");
    }
    guards.push_back(static_cast<const GuardRule&>(read));
  }
  return guards;
}

void check_guards(const Node& row, nanoseconds keepalive, PluginConfig& plugin,
                  Problems& problems) {
  std::vector<GuardRule>& guards = plugin.instance.guards;
  for (size_t i = 0; i < guards.size(); ++i) {
    const Node& item = row.find(kGuardTable)->value.items[i];
    if (item.find("command") == nullptr) continue;  // said already
    Check check(item, plugin.declaration, guards[i], problems);
    if (!check.find_argument()) continue;
    check.read_safe();
    check.check_rules(keepalive);
    check.check_siblings();
  }
}

}  // namespace fieldpost
