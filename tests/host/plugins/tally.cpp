// SPDX-License-Identifier: Apache-2.0
//
// Counts what it is told to do, in a file that no kill empties. Opens once `gate` is there.
#include <fcntl.h>
#include <fieldpost/plugin.hpp>
#include <time.h>
#include <unistd.h>

#include <string>

namespace {

using namespace fieldpost::sdk;

constexpr fp_option kOptions[] = {
    Option{.name = "file", .required = true, .help = "Where each command leaves a line."},
    Option{.name = "gate", .fallback = "/", .help = "A path without which it does not open."},
    Option{.name = "work",
           .type = FP_OPT_DURATION,
           .fallback = "0ms",
           .help = "How long a command takes after its line is there."}};
constexpr fp_attribute kAttributes[] = {Attribute{.name = "polls", .help = "Counts polls."}};
constexpr fp_option kArgs[] = {
    Option{.name = "n", .type = FP_OPT_NUMBER, .required = true, .help = "What the line says."}};

void rest(std::chrono::nanoseconds duration) {
  const timespec t{duration.count() / 1'000'000'000, duration.count() % 1'000'000'000};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &t, nullptr);
}

struct Tally {
  struct Plan {
    explicit Plan(Declare& declare)
        : polls(declare.attribute(0, declare.options(), kAttributes[0])) {
      (void)declare.command(
          0, declare.options(),
          Command{.name = "tally", .help = "Leaves a line.", .args = kArgs, .output = "file"});
    }
    uint32_t polls;
  };

  Tally(Host& host, const Plan& plan) : polls(plan.polls), work(host.options().duration("work")) {
    const std::string gate = host.options().text("gate");
    while (::access(gate.c_str(), F_OK) != 0) rest(std::chrono::milliseconds(5));
    const std::string file = host.options().text("file");
    fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) throw IoError("cannot open " + file);
  }
  ~Tally() { ::close(fd); }
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  void poll(Host& host, unsigned) { host.emit(polls, ++count); }

  std::optional<Value> command(Host&, const Call& call) {
    const std::string line = std::to_string(static_cast<long>(call.number(0))) + "\n";
    if (::write(fd, line.data(), line.size()) < 0) throw IoError("cannot write");
    rest(work);
    return Value(call.number(0));
  }

  uint32_t polls;
  std::chrono::nanoseconds work;
  int fd = -1;
  double count = 0;
};

}  // namespace

FP_PLUGIN(Tally,
          {.type = "tally", .version = "1.0.0", .summary = "Counts commands.", .options = kOptions})
