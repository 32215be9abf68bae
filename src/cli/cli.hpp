// SPDX-License-Identifier: Apache-2.0
//
// The `fieldpost` program: a table of subcommands. Each is a function of its own file.
#pragma once

#include <boost/program_options.hpp>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "cli/paths.hpp"
#include "config/load.hpp"

namespace fieldpost::cli {

namespace po = boost::program_options;

// Exit statuses, besides 0. sysexits.h.
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 64;
inline constexpr int kConfig = 78;

// What a subcommand is given: the paths, and its own arguments as parsed by its options.
struct Call {
  Paths paths;
  po::variables_map given;
  std::vector<std::string> words;  // positional
  bool json() const { return given.count("json") > 0; }
};

struct Subcommand {
  std::string_view name;
  std::string_view words;    // positional arguments, for the usage line: "DEVICE ATTR=VALUE…"
  std::string_view summary;  // one line
  std::string_view help;     // a paragraph or two, and an example
  void (*options)(po::options_description&);  // its own options; may be nullptr
  size_t min_words, max_words;
  int (*run)(const Call&);
};

// All of them, in the order of the help.
std::span<const Subcommand> subcommands();
// What each of them takes besides; their values go into `paths`, whose present ones are the
// defaults.
po::options_description common_options(Paths& paths);

// Parses and runs. Everything that goes wrong is said on stderr.
int run(std::span<const std::string> args);

int apply(const Call&);
int check(const Call&);
void check_options(po::options_description&);
int status(const Call&);
int watch(const Call&);
int read(const Call&);
void read_options(po::options_description&);
int scan(const Call&);
void scan_options(po::options_description&);
int modbus(const Call&);
void modbus_options(po::options_description&);
int write(const Call&);
void write_options(po::options_description&);
int command(const Call&);
void command_options(po::options_description&);
int commands(const Call&);
void commands_options(po::options_description&);
int send(const Call&);
int outbox(const Call&);
int attributes(const Call&);
int plugins(const Call&);
int report(const Call&);
int reload(const Call&);
int reconnect(const Call&);
int setup(const Call&);
void setup_options(po::options_description&);
int version(const Call&);

// What `outbox status` tells, of a running agent or of the files; takes its option --state-dir.
Result<Json> outbox_status(const Call&);

// The configuration that is meant: the first word, or else --config. As a start would read it.
Loaded load(const Call& call);
// Each place in a file is named as this has it.
using PlaceName = std::function<std::string(std::string)>;
// All problems of it, on stderr, so that stdout stays what was asked for.
void print_problems(const Loaded& loaded, const PlaceName& name = {});
// The same, and what they mean for a start. True if it is fine, warnings or not.
bool is_fine(const Loaded& loaded, const PlaceName& name = {});

// Prints "fieldpost: …" on stderr and returns kFailed.
int fail(std::string_view message);

}  // namespace fieldpost::cli
