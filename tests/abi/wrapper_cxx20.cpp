// SPDX-License-Identifier: Apache-2.0
//
// plugin.hpp promises C++20 to authors; this is all that a plugin can use of it, compiled as such.
#include <fieldpost/plugin.hpp>

namespace {

using namespace fieldpost::sdk;

constexpr fp_option kOptions[] = {Option{.name = "text"},
                                  Option{.name = "n", .type = FP_OPT_NUMBER}};
constexpr fp_table kTables[] = {Table{.name = "row", .units = true, .options = kOptions}};
constexpr fp_attribute kAttributes[] = {Attribute{.name = "a"}};
constexpr fp_command kCommands[] = {Command{.name = "c", .args = kOptions, .idempotent = true}};

struct Everything {
  struct Plan {
    explicit Plan(Declare& declare) {
      for (const Section& unit : declare.units()) {
        (void)declare.attribute(0, unit, Attribute{.name = "b"});
        (void)declare.command(0, unit, Command{.name = "d"});
        declare.problem(unit, nullptr, "nothing");
      }
    }
  };
  Everything(Host& host, const Plan&) {
    const Section options = host.options();
    if (options.has("text")) host.log(6, options.text("text"));
    (void)(options.number("n") > 0 || options.integer("n") > 0 || options.boolean("n") ||
           options.duration("n").count() > 0 || options.rows("row").empty());
  }
  void poll(Host& host, unsigned unit) { host.emit(unit, 1.0); }
  int event_fd() { return -1; }
  void on_event(Host& host) { host.emit({{0, true, FP_GOOD, {}}, {1, "x", FP_STALE, "old"}}, 1); }
  std::optional<Value> command(Host&, const Call& call) {
    if (!call.has(0) || call.command() != 0) throw ConfigError("no");
    if (call.boolean(1)) throw IoError("no");
    return Value(call.text(0) + std::to_string(call.number(2)));
  }
};

}  // namespace

FP_PLUGIN(Everything, {.type = "everything",
                       .version = "1",
                       .summary = "Uses everything.",
                       .needs = FP_NEEDS_EXEC,
                       .options = kOptions,
                       .tables = kTables,
                       .attributes = kAttributes,
                       .commands = kCommands})
