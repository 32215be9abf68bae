// SPDX-License-Identifier: Apache-2.0
//
// fieldpostd: the supervisor process.
#include <boost/program_options.hpp>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "base/log.hpp"
#include "base/message_ids.hpp"
#include "base/text.hpp"
#include "main/await_config.hpp"
#include "main/black_box.hpp"
#include "main/boot_reason.hpp"
#include "main/choose_config.hpp"
#include "main/daemon.hpp"
#include "main/selftest.hpp"
#include "supervisor/probe.hpp"

namespace {

using namespace fieldpost;
namespace po = boost::program_options;

constexpr int kUsage = 64;   // EX_USAGE
constexpr int kConfig = 78;  // EX_CONFIG

// For the last words of the black box. An SD card takes some 10 ms for them.
constexpr auto kLastWordsLimit = std::chrono::milliseconds(500);

struct Options {
  Paths paths = default_paths();
  bool strict = false;
  bool selftest = false;
};

// An exit status if there is nothing more to do.
std::optional<int> parse(int argc, char** argv, Options& options) {
  po::options_description o("fieldpostd: the supervisor of a Fieldpost gateway\n\nOptions");
  const auto path = [](std::string& s) {
    return po::value(&s)->default_value(s)->value_name("PATH");
  };
  std::string level = "info";
  o.add_options()("config", path(options.paths.config), "configuration: a file, or a folder");
  o.add_options()("state-dir", path(options.paths.state_dir), "where readings are kept");
  o.add_options()("run-dir", path(options.paths.run_dir), "where the sockets are");
  o.add_options()("plugin-dir", path(options.paths.plugin_dir), "where the plugins are");
  o.add_options()("plugin-host", path(options.paths.plugin_host), "the program that runs a plugin");
  o.add_options()("log-level", po::value(&level)->default_value(level)->value_name("LEVEL"),
                  "error, warning, notice, info or debug");
  o.add_options()("strict", po::bool_switch(&options.strict),
                  "with an invalid configuration, end with status 78 instead of running the last "
                  "one that worked");
  o.add_options()("selftest", po::bool_switch(&options.selftest),
                  "try the libraries, an outbox in a temporary folder and each installed plugin, "
                  "print a line for each, and end: status 0 if all work, else 1");
  o.add_options()("version", "print the version")("help,h", "print this");
  po::variables_map given;
  log::Level parsed{};
  try {
    po::store(po::parse_command_line(argc, argv, o), given);
    po::notify(given);
    if (!log::parse_level(level, &parsed))
      throw po::error("--log-level: unknown level '" + level + "'");
  } catch (const po::error& e) {
    std::cerr << "fieldpostd: " << e.what() << "\n";
    return kUsage;
  }
  log::set_level(parsed);
  if (given.count("help") > 0) return std::cout << o, EXIT_SUCCESS;
  if (given.count("version") > 0)
    return std::cout << "fieldpostd " << kVersion << "\n", EXIT_SUCCESS;
  return std::nullopt;
}

// The configuration to run on.
Chosen choose(const Options& options, ConfigTrial& trial) {
  Probe probe(options.paths.plugin_host, options.paths.plugin_dir);
  Chosen chosen = choose_config(options.paths, trial, probe, BootClock::now());
  if (!chosen.config && !options.strict) {
    chosen = fall_back(options.paths, std::move(chosen), probe);
  }
  if (chosen.config || chosen.trouble == kNotSetUp) return chosen;
  log::error("no usable configuration; see the messages above, and `fieldpost check`",
             {message_id::kNoUsableConfig});
  chosen.trouble = "waits for a usable configuration (see fieldpost check): " + chosen.trouble;
  return chosen;
}

Result<> make_folder(const std::string& path, mode_t mode) {
  std::error_code ignored;  // mkdir says what is wrong
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return Error::from_errno(errno, "make the folder '" + path + "'");
}

BlackBox::Options black_box_options(const Paths& paths) {
  utsname kernel{};
  (void)::uname(&kernel);  // empty then
  const std::string boot = boot_id().value_or("--------");
  return {.path = paths.black_box(),
          .boot_id = boot,
          .start_words =
              std::string("fieldpost ") + kVersion + ", Linux " + kernel.release + ", boot " + boot,
          .boot_reason = boot_reason(),
          .ended_path = paths.run_dir + "-ended"};
}

// When it was told to end. If the disk is held up, nothing waits for it.
int end(BlackBox& box) {
  if (!box.stop(kLastWordsLimit)) std::_Exit(EXIT_SUCCESS);
  return EXIT_SUCCESS;
}

// With its reason in the black box, and not as one that was told to end.
int give_up(BlackBox& box, std::string_view what, const Error& why) {
  log::error(what, {{"FP_REASON", why.message}});
  if (!box.stop(kLastWordsLimit, false)) std::_Exit(EXIT_FAILURE);
  return EXIT_FAILURE;
}

int run(const Options& options) {
  BlackBox box(black_box_options(options.paths));
  for (const auto& made :
       {make_folder(options.paths.run_dir, 0755), make_folder(options.paths.stage_dir(), 0700),
        make_folder(options.paths.state_dir, 0750)}) {
    if (!made) log::error("cannot start in full", {{"FP_REASON", made.error().message}});
  }
  auto seen = config_stamps(options.paths);  // before it is read
  ConfigTrial trial({.path = options.paths.trial(),
                     .last_good = options.paths.last_good_config(),
                     .boot_id = boot_id().value_or(""),
                     .save = {}});
  auto chosen = choose(options, trial);
  const bool must_wait = !chosen.config;
  if (must_wait) {
    const bool is_service = ::secure_getenv("NOTIFY_SOCKET") != nullptr;
    if (chosen.trouble == kNotSetUp) log::notice(kNotSetUp);
    if (options.strict || !is_service) return kConfig;
  }
  block_signals({SIGTERM, SIGINT});  // from here on they are the loop's
  box.start();
  const bool has_credentials = ::secure_getenv("CREDENTIALS_DIRECTORY") != nullptr;
  for (; !chosen.config; chosen = choose(options, trial)) {
    const auto woken = await_config(options.paths, seen, chosen.trouble);
    if (!woken) return give_up(box, "cannot wait", woken.error());
    if (*woken == Woken::End) return end(box);
    if (*woken == Woken::Asked && has_credentials) {
      log::notice("starting anew, for the credentials as they are now");
      return end(box);  // systemd hands them over at a start alone
    }
    seen = config_stamps(options.paths);
  }
  if (must_wait && has_credentials) {
    log::notice("there is a configuration: starting anew, for the credentials that came with it");
    return end(box);
  }
  auto loop = EventLoop::create();
  if (!loop) return give_up(box, "no event loop", loop.error());
  Daemon daemon(*loop, options.paths, *std::move(chosen.config), std::move(chosen.trouble), box,
                trial);
  if (const auto started = daemon.start(); !started) {
    std::_Exit(give_up(box, "cannot start", started.error()));  // threads may be running
  }
  const auto ended = loop->run();
  const bool finished = daemon.finish();
  if (!ended) return EXIT_FAILURE;
  const int status = end(box);
  if (!finished) std::_Exit(status);  // a thread is held up; see finish()
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  // What one thread allocates another frees, and an arena for each keeps what it was given: 1 MB
  // less of ours (bench/README.md), and none of them allocates so often that it would wait.
  ::mallopt(M_ARENA_MAX, 1);  // NOLINT(concurrency-mt-unsafe): there is one thread
  // Plugins run as the same user: none may look into this process, which has the secrets.
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // Not those that end it: until the loop runs there is nothing to put in order, and plugins that
  // are asked about the configuration may take their time.
  block_signals({SIGCHLD, SIGHUP});
  Options options;
  if (const auto status = parse(argc, argv, options)) return *status;
  if (options.selftest) {
    log::set_level(log::Level::Warning);  // what goes well is said in its own lines
    return selftest(options.paths, std::cout) ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  return run(options);
}
