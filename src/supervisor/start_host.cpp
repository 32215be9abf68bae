// SPDX-License-Identifier: Apache-2.0
#include "supervisor/start_host.hpp"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/spawn.hpp"

namespace fieldpost {
namespace {

constexpr std::string_view kForPlugins[] = {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR",
                                            // A vendor's library, where it is not where others are.
                                            "LD_LIBRARY_PATH",
                                            // Builds with sanitizers.
                                            "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
                                            "UBSAN_OPTIONS"};

bool is_for_plugins(std::string_view variable) {
  const std::string_view name = variable.substr(0, variable.find('='));
  return name.starts_with("LC_") || std::ranges::find(kForPlugins, name) != std::end(kForPlugins);
}

std::vector<std::string> environment_for_plugins() {
  std::vector<std::string> kept;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    if (is_for_plugins(*variable)) kept.emplace_back(*variable);
  }
  return kept;
}

}  // namespace

Result<pid_t> start_host(const std::string& plugin_host, const std::string& verb,
                         const std::string& file, int log, int socket, const std::string& user) {
  std::vector<std::string> args{verb, file};
  // Before any code of ours or of the plugin runs, rather than by it.
  if (!user.empty()) {
    args = {"--reuid",
            user,
            "--regid",
            user,
            "--init-groups",
            "--no-new-privs",
            "--bounding-set",
            "-all",
            "--inh-caps",
            "-all",
            "--",
            plugin_host,
            verb,
            file};
  }
  return spawn({.program = user.empty() ? plugin_host : kSetpriv,
                .args = std::move(args),
                .descriptors = {-1, -1, log, socket},
                .environment = environment_for_plugins()});
}

}  // namespace fieldpost
