// SPDX-License-Identifier: Apache-2.0
//
// `apply`: the files are this command's to check and to put in place, as whoever may write there;
// the rest is the agent's (main/config_trial.hpp), which needs nobody for it.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <iostream>
#include <thread>
#include <utility>

#include "base/temp_folder.hpp"
#include "base/text.hpp"
#include "cli/cli.hpp"
#include "cli/client.hpp"
#include "cli/config_files.hpp"
#include "config/profiles.hpp"
#include "config/read.hpp"
#include "supervisor/probe.hpp"

namespace fieldpost::cli {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kLeast(10);  // that it takes to connect and to be sure
constexpr std::chrono::seconds kStepLimit(60);
constexpr std::chrono::milliseconds kLookEvery(200);

// 0: no way back.
Result<nanoseconds> confirm_time(std::string text) {
  if (text == "0" || text == "none") return nanoseconds(0);
  if (text.ends_with('m')) text += "in";  // 10m, as everybody writes it
  const nanoseconds time = FP_TRY(parse_duration(text).context("--confirm: expected"));
  constexpr std::chrono::hours kMost(7 * 24);
  if (time < kLeast || time > kMost)
    return Error{Errc::Invalid, "--confirm: expected 0, none, or a time from 10s to 7d"};
  return time;
}

// As a start would read it; nothing is in place yet. False if it is not fine, which was said.
Result<bool> check_files(const Call& call, const ConfigFiles& files, const ConfigPlace& place) {
  const TempFolder scratch = FP_TRY(TempFolder::make());
  const ConfigPlace copy(scratch.path());
  FP_CHECK_OK(copy.put(files));
  Probe probe(call.paths.plugin_host, call.paths.plugin_dir);
  // Profiles that are in place now are among the files, or will be gone.
  std::vector<std::string> profiles = call.paths.profile_folders();
  std::erase(profiles, place.path_of(kProfileFolder));
  return is_fine(load_config(scratch.path(), probe, std::move(profiles)), [&](std::string text) {
    replace_all(text, copy.path_of(kMainFile), place.path_of(kMainFile));
    replace_all(text, copy.folder(), place.folder());
    return text;
  });
}

// What the agent says of itself.
Result<Json> ask(const Call& call, const Json& request) {
  auto client = FP_TRY(ControlClient::connect(call.paths, true));
  return client.ask(request);
}
Result<Json> agent_status(const Call& call) {
  Json answer = FP_TRY(ask(call, Json{{"do", "status"}}));
  return std::move(answer["status"]);
}

// Waits until the counter that `started` has, too, is greater in `counter(status.config)`, or the
// agent was started anew: that reads what is in place, and counts from 0. Errors: Timeout.
template <class Counter>
Result<Json> wait_for(const Call& call, const Json& started, const char* name, Counter counter) {
  double uptime = started["uptime_s"];
  for (const auto deadline = steady_clock::now() + kStepLimit; steady_clock::now() < deadline;
       std::this_thread::sleep_for(kLookEvery)) {
    auto status = agent_status(call);
    if (!status) continue;  // it is being started anew
    const double before = std::exchange(uptime, (*status)["uptime_s"].template get<double>());
    Json& config = (*status)["config"];
    if (counter(config) > started[name] || uptime < before) return std::move(config);
  }
  return Error{Errc::Timeout, "the agent has not done its part within a minute; see its log"};
}

// The agent reads what is in place; its view of it then.
Result<Json> read_again(const Call& call, const Json& request) {
  const Json started = FP_TRY(ask(call, request));
  return wait_for(call, started, "loads", [](const Json& config) { return config["loads"]; });
}

// The files of the configuration that runs instead of the one that was rolled back.
Result<> put_earlier_back(const Call& call, const ConfigPlace& place) {
  const Json answer = FP_TRY(ask(call, Json{{"do", "apply-earlier"}}));
  FP_CHECK_OK(place.put(answer["files"].get<ConfigFiles>(),
                        rights_in(answer["notes"].get<std::map<std::string, std::string>>())));
  const Json config = FP_TRY(read_again(call, Json{{"do", "reload"}}));
  const std::string trouble = config["trouble"];
  if (!trouble.empty()) return Error{Errc::Invalid, trouble};
  return {};
}

std::string state_of(const Json& config) { return config["apply"].value("state", ""); }
// Files are in place that were rolled back.
bool is_refused(const Json& config) { return config["apply"].value("refused", false); }

int say_rolled_back(const Call& call, const ConfigPlace& place, const Json& config) {
  (void)fail("rolled back: " + config["apply"].value("reason", ""));
  if (const auto back = put_earlier_back(call, place); !back) {
    return fail(
        "the agent runs on the earlier configuration, but its files could not be put back: " +
        back.error().message);
  }
  return fail("the earlier configuration runs, and its files are in place again");
}

int give_up(const Call& call, const ConfigPlace& place, const std::string& why) {
  (void)fail(why);
  const auto ended = read_again(call, Json{{"do", "apply-end"}});
  return ended ? say_rolled_back(call, place, *ended) : fail(ended.error().message);
}

std::string clock_time(nanoseconds from_now) {
  const std::time_t at = std::chrono::system_clock::to_time_t(
      std::chrono::system_clock::now() +
      std::chrono::duration_cast<std::chrono::system_clock::duration>(from_now));
  std::tm local{};
  char text[16]{};
  if (::localtime_r(&at, &local) != nullptr) (void)std::strftime(text, sizeof text, "%T", &local);
  return text;
}

// The agent may be started anew meanwhile, so that it cannot be asked for a while.
int await_outcome(const Call& call, const ConfigPlace& place, nanoseconds confirm) {
  std::cout << "in place, on trial until " << clock_time(confirm)
            << ": it stays if the broker acknowledges a publish by then; this command may be "
               "ended\n"
            << std::flush;
  for (auto heard = steady_clock::now(); steady_clock::now() < heard + kStepLimit;
       std::this_thread::sleep_for(kLookEvery)) {
    const auto status = agent_status(call);
    if (!status) continue;
    heard = steady_clock::now();
    const Json& config = (*status)["config"];
    if (state_of(config) == "pending") continue;
    if (state_of(config) == "rolled back") return say_rolled_back(call, place, config);
    if (state_of(config) != "confirmed") return fail("the agent knows nothing of it any more");
    std::cout << "confirmed: the broker has acknowledged a publish\n";
    return 0;
  }
  return fail("the agent has not answered for a minute; `fieldpost status` tells the outcome");
}

// Those that run already: also a way back from what was rolled back.
int put_those_that_run(const Call& call, const ConfigPlace& place, const ConfigFiles& files) {
  std::cout << "this configuration runs already\n";
  if (const auto put = place.put(files, place.rights_like(call.words[0])); !put)
    return fail(put.error().message);
  const auto config = read_again(call, Json{{"do", "reload"}});
  if (!config) return fail(config.error().message);
  if (const std::string trouble = (*config)["trouble"]; !trouble.empty()) return fail(trouble);
  std::cout << "in place\n";
  return 0;
}

// With the trial noted: the files, then the agent. `confirm`: 0 is no way back.
int put_in_place(const Call& call, const ConfigPlace& place, const ConfigFiles& files,
                 nanoseconds confirm) {
  if (const auto put = place.put(files, place.rights_like(call.words[0])); !put)
    return give_up(call, place, put.error().message);
  const auto config = read_again(call, Json{{"do", "reload"}});
  if (!config) return fail(config.error().message);
  if (state_of(*config) == "pending" && !(*config)["apply"].value("running", false)) {
    return give_up(call, place, (*config)["apply"].value("reason", ""));
  }
  if (confirm.count() > 0) return await_outcome(call, place, confirm);
  if (state_of(*config) == "rolled back") return say_rolled_back(call, place, *config);
  if (const std::string trouble = (*config)["trouble"]; !trouble.empty()) return fail(trouble);
  std::cout << "in place\n";
  return 0;
}

// Whether there is something to try: else it runs already. Errors: as the agent says.
Result<bool> begin(const Call& call, const ConfigPlace& place, const ConfigFiles& files,
                   nanoseconds confirm) {
  const Json request{
      {"do", "apply"},
      {"files", files},
      {"notes", to_texts(place.rights())},
      {"confirm_s", std::chrono::duration_cast<std::chrono::seconds>(confirm).count()}};
  const Json started = FP_TRY(ask(call, request));
  const Json config = FP_TRY(
      wait_for(call, started, "applies", [](const Json& c) { return c["apply"]["applies"]; }));
  if (const std::string trouble = config["apply"]["trouble"]; !trouble.empty()) {
    return Error{Errc::Unavailable, trouble};
  }
  if (config["apply"]["applies"] > started["applies"]) return state_of(config) == "pending";
  return Error{Errc::Unavailable, "the agent was started anew; try again"};
}

int start(const Call& call, const ConfigPlace& place, nanoseconds confirm) {
  const auto present = place.read();
  if (!present) return fail(present.error().message);
  const auto files = with_changes(call.words[0], *present);
  if (!files) return fail(files.error().message);
  const auto fine = check_files(call, *files, place);
  if (!fine) return fail(fine.error().message);
  if (!*fine) return kConfig;
  const auto begun = begin(call, place, *files, confirm);
  if (!begun) return fail(begun.error().message);
  return *begun ? put_in_place(call, place, *files, confirm)
                : put_those_that_run(call, place, *files);
}

int roll_back(const Call& call, const ConfigPlace& place, const Json& before) {
  constexpr const char* kNothing =
      "no configuration is on trial, and nothing that was rolled back is in place: there is "
      "nothing "
      "to put back";
  const bool is_pending = state_of(before) == "pending";
  if (!is_pending && !is_refused(before)) return fail(kNothing);
  const auto ended = read_again(call, Json{{"do", "apply-end"}});
  if (!ended) return fail(ended.error().message);
  if (!is_pending && !is_refused(*ended)) return fail(kNothing);  // somebody was faster
  if (const auto back = put_earlier_back(call, place); !back) return fail(back.error().message);
  std::cout << "the earlier configuration runs, and its files are in place again\n";
  return 0;
}

int keep(const Call& call, const Json& before) {
  if (state_of(before) != "pending" && !is_refused(before)) {
    return fail(
        "no configuration is on trial, and nothing that was rolled back is in place: there is "
        "nothing to keep");
  }
  const auto ended = read_again(call, Json{{"do", "apply-end"}, {"keep", true}});
  if (!ended) return fail(ended.error().message);
  if (state_of(*ended) != "confirmed") {
    return fail("the agent could not note that it stays; see its log");
  }
  if (const std::string trouble = (*ended)["trouble"]; !trouble.empty()) return fail(trouble);
  std::cout << "what is in place stays\n";
  return 0;
}

}  // namespace

int apply(const Call& call) {
  const bool back = call.given.count("rollback") > 0;
  const bool stay = call.given.count("keep") > 0;
  if (static_cast<int>(back) + static_cast<int>(stay) + static_cast<int>(!call.words.empty()) !=
      1) {
    return fail("usage: fieldpost apply PATH [--confirm TIME], or --rollback, or --keep"), kUsage;
  }
  const auto confirm = confirm_time(call.given["confirm"].as<std::string>());
  if (!confirm) return fail(confirm.error().message), kUsage;
  const auto status = agent_status(call);
  if (!status) return fail(status.error().message);
  const Json& config = (*status)["config"];
  const ConfigPlace place(config.value("path", call.paths.config),
                          config.value("reader_group", ::getegid()));
  if (const auto may = place.may_put(); !may) return fail(may.error().message + " (with sudo?)");
  // What is begun ends, whether or not the line to whoever began it does.
  for (const int signal : {SIGHUP, SIGPIPE}) (void)::signal(signal, SIG_IGN);
  if (back) return roll_back(call, place, config);
  return stay ? keep(call, config) : start(call, place, *confirm);
}

}  // namespace fieldpost::cli
