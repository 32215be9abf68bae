// SPDX-License-Identifier: Apache-2.0
//
// A plugin that behaves, or misbehaves, as its option `mode` says.
#include <fcntl.h>
#include <fieldpost/plugin.hpp>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace {

using namespace fieldpost::sdk;

constexpr fp_option kOptions[] = {
    Option{.name = "mode", .fallback = "good", .help = "What it does."},
    Option{.name = "nap",
           .type = FP_OPT_DURATION,
           .fallback = "0ms",
           .help = "How long a poll takes."}};
constexpr fp_option kUnitOptions[] = {Option{
    .name = "silent", .type = FP_OPT_BOOLEAN, .fallback = "false", .help = "Never answers."}};
constexpr fp_table kTables[] = {
    Table{.name = "unit", .units = true, .help = "A device.", .options = kUnitOptions}};
constexpr fp_attribute kAttributes[] = {
    Attribute{.name = "counter", .help = "Counts the unit's polls."},
    Attribute{.name = "text", .type = FP_STRING, .help = "What the mode has to say."},
    Attribute{.name = "level", .help = "Good and bad in turn."}};
constexpr fp_option kSetArgs[] = {
    Option{.name = "value", .type = FP_OPT_NUMBER, .required = true, .help = "What to set."},
    Option{.name = "note", .help = "Any text."}};
constexpr fp_command kCommands[] = {
    Command{.name = "set", .help = "Sets and reads back.", .args = kSetArgs, .output = "value"},
    Command{.name = "text", .help = "Reads a text back.", .output = "value"},
    Command{.name = "fail", .help = "The device does not answer.", .output = "value"},
    Command{.name = "break", .help = "Ends in a bug.", .output = "value"},
    Command{.name = "hang", .help = "Never ends.", .output = "value"}};

[[noreturn]] void hang() {
  ::prctl(PR_SET_NAME, "hanging");  // for tests to see
  for (;;) ::pause();
}

void nap(std::chrono::nanoseconds duration) {
  ::prctl(PR_SET_NAME, "napping");
  const timespec t{duration.count() / 1'000'000'000, duration.count() % 1'000'000'000};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &t, nullptr);
}

// Every descriptor that is open, and whether it is closed on exec.
std::string open_descriptors() {
  std::string found;
  for (int fd = 0; fd < 256; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags >= 0) found += std::to_string(fd) + ((flags & FD_CLOEXEC) != 0 ? "x " : " ");
  }
  return found;
}

struct Puppet {
  struct Plan {
    explicit Plan(Declare& declare) : mode(declare.options().text("mode")) {
      static int passes = 0;
      ++passes;
      if (mode == "crash-declare") std::abort();
      if (mode == "hang-declare") hang();
      if (mode == "complain")
        declare.problem(declare.options(), "mode", "this mode is a complaint");
      if (mode == "bad-name") {
        (void)declare.attribute(0, declare.options(), Attribute{.name = "not a name"});
      }
      for (const Section& unit : declare.units()) {
        const auto number = static_cast<unsigned>(counters.size());
        counters.push_back(declare.attribute(number, unit, kAttributes[0]));
      }
      text = declare.attribute(0, declare.options(), kAttributes[1]);
      if (mode == "bad-neighbours") {
        level = declare.attribute(0, declare.options(), kAttributes[2]);
      }
      if (mode == "fickle" && passes > 1) return;
      for (const fp_command& command : kCommands) {
        (void)declare.command(0, declare.options(), command);
      }
    }
    std::string mode;
    std::vector<uint32_t> counters;  // by unit
    uint32_t text = 0;
    uint32_t level = 0;
  };

  Puppet(Host& host, const Plan& p) : plan(p), counts(p.counters.size()) {
    const std::string& mode = plan.mode;
    at_end = &host;
    if (mode == "throw") throw std::runtime_error("thrown in the constructor");
    if (mode == "absent") throw IoError("no such device");
    if (mode == "invalid") throw ConfigError("this cannot work");
    if (mode == "leave") ::_exit(3);
    if (mode == "hang-open") hang();
    if (mode == "event") {
      timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
      const itimerspec every{{0, 20'000'000}, {0, 20'000'000}};
      ::timerfd_settime(timer, 0, &every, nullptr);
    }
    pause = host.options().duration("nap");
    for (const Section& unit : host.units())
      silent.push_back(unit.has("silent") && unit.boolean("silent"));
  }
  ~Puppet() {
    if (plan.mode == "hang-close") hang();
    if (plan.mode == "keep-quietly") at_end->keep("end", 7);
    (void)std::fputs("closed\n", stderr);
  }
  Puppet(const Puppet&) = delete;
  Puppet& operator=(const Puppet&) = delete;

  void poll(Host& host, unsigned unit) {
    const std::string& mode = plan.mode;
    if (mode == "crash") std::abort();
    if (mode == "hang") hang();
    if (mode == "bug") throw std::logic_error("a bug in poll");
    if (mode == "foreign") throw_foreign();
    if (mode == "flood") flood(host);
    if (mode == "bulk") bulk(host);
    if (mode.starts_with("keep")) return keep(host, unit);
    if (mode.starts_with("remark")) remark(host, unit);
    if (mode == "bad-values") return emit_nonsense(host);
    if (mode == "bad-neighbours") return emit_bad_neighbours(host, ++counts[unit]);
    if (mode == "chatter") chatter(host);
    if (mode == "closes") ::close_range(4, 255, 0);  // the host's own among them
    if (mode == "parent") leave_a_child(host);
    if (mode == "descriptors") host.emit(plan.text, open_descriptors());
    if (mode == "bad-quality") {
      host.emit({{plan.counters[unit], 0.0, FP_COMM_ERROR, "exception 2"}});
      return;
    }
    if (pause.count() > 0) nap(pause);
    if (silent[unit]) throw IoError("no answer");
    host.emit(plan.counters[unit], static_cast<double>(++counts[unit]));
  }

  int event_fd() const { return timer; }
  void on_event(Host& host) const {
    uint64_t expirations = 0;
    if (::read(timer, &expirations, sizeof expirations) > 0) host.emit(plan.text, "event");
  }

  std::optional<Value> command(Host&, const Call& call) {
    switch (call.command()) {
      case 0:
        return Value(call.number(0));
      case 1:
        if (pause.count() > 0) nap(pause);
        return Value(std::string("read back"));
      case 2:
        throw IoError("no answer to the command");
      case 3:
        throw std::logic_error("a bug in command");
      default:
        hang();
    }
  }

  [[noreturn]] static void throw_foreign() { throw 42; }

  // Starts a process that never ends, and says which.
  void leave_a_child(Host& host) {
    if (child == 0) child = ::fork();
    if (child == 0) hang();
    host.emit(plan.text, std::to_string(child));
  }

  // Long texts: most bytes for the time it takes, so that a slow machine can do it too.
  [[noreturn]] void flood(Host& host) const {
    const std::vector<Reading> many(10, Reading{plan.text, std::string(60'000, 'x'), FP_GOOD, ""});
    for (;;) host.emit(many);
  }

  // Counts what processes before it have counted, too; quietly, until it says how far it has come.
  void keep(Host& host, unsigned unit) {
    const bool quietly = plan.mode == "keep-quietly";
    for (int i = 0; plan.mode == "keep-too-many" && i < 300; ++i) {
      host.keep("key" + std::to_string(i), i);
    }
    if (plan.mode == "keep-badly") host.keep("not a key", 1);
    const int64_t n = host.kept("n").value_or(0) + 1;
    host.keep("n", n);
    if (!quietly) host.emit(plan.counters[unit], static_cast<double>(n));
  }

  // Of each ten readings the last five are doubtful.
  void remark(Host& host, unsigned unit) const {
    const uint32_t attribute = mode_is_wild() ? 4'000'000'000 : plan.counters[unit];
    host.remark(attribute, counts[unit] % 10 < 5 ? "" : "doubt\nful");
  }
  bool mode_is_wild() const { return plan.mode == "remark-badly"; }

  void bulk(Host& host) const {  // 200,000 readings in one call: more than fits a message
    for (int i = 0; i < 200; ++i) {
      std::vector<Reading> many(1'000,
                                Reading{plan.counters[0], static_cast<double>(i), FP_GOOD, ""});
      host.emit(many, 1);
    }
  }

  // A good reading in each, and one that cannot be sent beside it, each time another.
  void emit_bad_neighbours(Host& host, int count) const {
    constexpr int64_t kHour = 3'600'000'000'000;
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    const Reading good{plan.counters[0], static_cast<double>(count), FP_GOOD, ""};
    const Reading bad[] = {{plan.level, std::nan(""), FP_GOOD, ""},
                           {plan.text, std::string(65'537, 'x'), FP_GOOD, ""},
                           {plan.level, -std::numeric_limits<double>::infinity(), FP_GOOD, ""},
                           {plan.text, std::string("\xff\xfe"), FP_GOOD, ""},
                           {plan.level, "a text", FP_GOOD, ""},
                           {plan.text, 1.0, FP_GOOD, ""}};
    host.emit({{bad[count % 6], good, bad[(count + 1) % 6]}});
    host.emit({{plan.level, 1.0, FP_GOOD, ""}}, now.tv_sec * 1'000'000'000 + kHour);
    if (count % 10 == 0) host.emit({{plan.level, count * 0.5, FP_GOOD, ""}});
  }

  // What is no value's fault must be refused; says how many were. The rest counts as out of range.
  void emit_nonsense(Host& host) const {
    const double infinite = std::numeric_limits<double>::infinity();
    const auto refused = [&](std::initializer_list<Reading> readings, int64_t time = 0) {
      try {
        host.emit(readings, time);
      } catch (const std::logic_error&) {
        return 1;
      }
      return 0;
    };
    const uint32_t number = plan.counters[0];
    int n = 0;
    n += refused({{number, std::nan(""), FP_GOOD, ""}});
    n += refused({{number, infinite, FP_GOOD, ""}});
    n += refused({{number, true, FP_GOOD, ""}});
    n += refused({{number, "text", FP_GOOD, ""}});
    n += refused({{plan.text, std::string("\xff\xfe"), FP_GOOD, ""}});
    n += refused({{plan.text, std::string(65'537, 'x'), FP_GOOD, ""}});
    n += refused({{9'999, 1.0, FP_GOOD, ""}});
    n += refused({{number, 1.0, 99, ""}});
    n += refused({{number, 1.0, FP_GOOD, ""}}, -1);
    n += refused({{number, 1.0, FP_GOOD, ""}}, std::numeric_limits<int64_t>::max());
    host.emit(plan.text, std::to_string(n) + " refused");
  }

  static void chatter(Host& host) {
    for (int i = 0; i < 10'000; ++i) host.log(5, "line\x1b[31m " + std::to_string(i));
  }

  Host* at_end = nullptr;
  Plan plan;
  std::vector<int> counts;
  std::vector<bool> silent;
  std::chrono::nanoseconds pause{};
  int timer = -1;
  pid_t child = 0;
};

}  // namespace

FP_PLUGIN(Puppet, {.type = "puppet",
                   .version = "1.0.0",
                   .summary = "Does what it is told.",
                   .needs = FP_NEEDS_EXEC,  // it leaves children behind
                   .options = kOptions,
                   .tables = kTables,
                   .attributes = kAttributes,
                   .commands = kCommands})
