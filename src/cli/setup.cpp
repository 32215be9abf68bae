// SPDX-License-Identifier: Apache-2.0
//
// `fieldpost setup`: from an installed package to the first state that the broker has acknowledged.
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <optional>

#include "base/spawn.hpp"
#include "base/text.hpp"
#include "cli/attributes.hpp"
#include "cli/cli.hpp"
#include "cli/client.hpp"
#include "cli/first_state.hpp"
#include "cli/site_files.hpp"
#include "supervisor/probe.hpp"

namespace fieldpost::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSystemctl = "/usr/bin/systemctl";

bool is_systemd_there() {
  std::error_code error;
  return fs::is_directory("/run/systemd/system", error);  // as sd_booted(3)
}

// Not a reload: systemd hands over the credentials at a start alone.
Result<> restart_service() {
  const pid_t child = FP_TRY(spawn({.program = kSystemctl,
                                    .args = {"--no-ask-password", "restart", "fieldpost.service"},
                                    .descriptors = {-1, STDOUT_FILENO, STDERR_FILENO}}));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error{Errc::Unavailable,
               "systemctl could not restart the service; see  journalctl -u fieldpost"};
}

// Has the agent that runs here use the files. What it had done before; nothing: there is none,
// which has been said.
Result<std::optional<Before>> take_up(const Paths& paths, bool by_systemd) {
  if (by_systemd && is_systemd_there()) {
    FP_CHECK_OK(restart_service());
    std::cout << "the service was restarted\n" << std::flush;
    return std::optional(Before{});
  }
  if (by_systemd) {
    std::cout << "systemd does not run here: the service starts with the next boot\n";
    return std::optional<Before>();
  }
  auto agent = ControlClient::connect(paths, true);
  if (!agent && agent.error().code == Errc::NotFound) {
    std::cout << "no agent runs at '" << paths.run_dir << "': start it with  fieldpostd --config "
              << paths.config << " --run-dir " << paths.run_dir << "\n";
    return std::optional<Before>();
  }
  if (!agent) return agent.error();
  const auto answer = agent->ask(Json{{"do", "status"}});
  // One that waits for its configuration looks for it by itself.
  if (!answer && answer.error().code == Errc::NotFound) return std::optional(Before{});
  if (!answer) return answer.error();
  const Json reload = FP_TRY(agent->ask(Json{{"do", "reload"}}));
  return std::optional(Before{.readings = (*answer)["status"]["uplink"]["readings"].get<int64_t>(),
                              .loads = reload["loads"].get<int64_t>()});
}

// While a configuration is on trial, or what was rolled back is in place, what is written is not
// run; and credentials are none of the files that a rollback puts back. An agent that cannot be
// asked has no trial under way.
Result<> expect_no_trial(const Paths& paths) {
  auto agent = ControlClient::connect(paths, false);
  const auto answer = agent ? agent->ask(Json{{"do", "status"}}) : Result<Json>(agent.error());
  if (!answer) return {};
  const Json apply = (*answer)["status"]["config"].value("apply", Json::object());
  const bool is_pending = apply.value("state", "") == "pending";
  if (!is_pending && !apply.value("refused", false)) return {};
  return Error{
      Errc::Unavailable,
      std::string(is_pending ? "a configuration is on trial"
                             : "a configuration that was rolled back is still in place") +
          ": first  fieldpost apply --keep  to keep it, or  fieldpost apply --rollback  to "
          "put the earlier files back; nothing was written"};
}

int start_and_wait(const Call& call, const std::string& device_id, bool by_systemd,
                   nanoseconds limit) {
  const auto before = take_up(call.paths, by_systemd);
  if (!before) return fail(before.error().message);
  if (!*before || limit == nanoseconds(0)) return 0;
  std::cout << "waiting up to " << format_duration(limit)
            << " for the broker to acknowledge a state\n"
            << std::flush;
  const auto acknowledged = await_first_state(call.paths, device_id, **before, limit);
  if (acknowledged) return 0;
  return fail(acknowledged.error().message +
              "\nThe files are in place and the agent goes on trying: `fieldpost status` shows how "
              "it fares. If an answer was wrong, run `fieldpost setup` again, with --force if it "
              "was not the key or the secret.");
}

}  // namespace

void setup_options(po::options_description& o) {
  add_answer_options(o);
  o.add_options()("force", "replace conf.d/10-gateway.toml, whatever it says");
  o.add_options()("wait", po::value<std::string>()->default_value("2min")->value_name("DURATION"),
                  "for the first state to be acknowledged; 0s: do not wait");
}

int setup(const Call& call) {
  const auto limit = parse_duration(call.given["wait"].as<std::string>());
  if (!limit) return (void)fail("--wait: expected " + limit.error().message), kUsage;
  if (const auto may = expect_no_trial(call.paths); !may) return fail(may.error().message);
  const auto files = SiteFiles::find(call.paths);
  if (!files) return fail(files.error().message);
  const auto answers = gather_answers(call.given, files->has_credentials());
  if (!answers) return (void)fail(answers.error().message), kUsage;

  Probe probe(call.paths.plugin_host, call.paths.plugin_dir);
  const auto checked = files->check(*answers, probe);
  if (!checked) return fail(checked.error().message);
  print_problems(*checked);
  if (!checked->usable()) {
    return (void)fail("the configuration would have errors; nothing was written"), kConfig;
  }
  const auto written = files->write(*answers, call.given.count("force") > 0);
  if (!written) return fail(written.error().message);
  for (const std::string& path : *written) std::cout << "wrote " << path << "\n";

  std::cout << "\ncreate these in Losant, or they vanish:\n";
  print_attributes(checked->config);
  std::cout << "\n" << std::flush;
  return start_and_wait(call, checked->config.gateway.device_id, files->by_systemd(), *limit);
}

}  // namespace fieldpost::cli
