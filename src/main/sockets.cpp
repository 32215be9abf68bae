// SPDX-License-Identifier: Apache-2.0
//
// The control sockets: opened at the start, and made again when the run directory was cleared.
#include "main/sockets.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/log.hpp"
#include "main/daemon.hpp"

namespace fieldpost {
namespace {

constexpr mode_t kOpenToGroups = 0755;

// The folder as it was at the start. Not the one above it: then there is more amiss.
Result<> make_again(const std::string& folder) {
  if (::mkdir(folder.c_str(), kOpenToGroups) == 0) {
    (void)::chmod(folder.c_str(), kOpenToGroups);  // whatever the umask is
  } else if (errno != EEXIST) {
    return Error::from_errno(errno, "make the folder '" + folder + "'");
  }
  return {};
}

}  // namespace

Result<> open_control(ControlServer& server, const Paths& paths) {
  UniqueFd act;
  char** names = nullptr;
  // Not taken out of the environment, and copied: whoever waits for a configuration serves it
  // before the daemon does.
  const int passed = sd_listen_fds_with_names(0, &names);
  for (int i = 0; i < passed; ++i) {
    if (std::string_view(names[i]) == "control")
      act = UniqueFd(::fcntl(SD_LISTEN_FDS_START + i, F_DUPFD_CLOEXEC, 0));
    ::free(names[i]);  // NOLINT: sd-daemon hands out malloc'ed names
  }
  ::free(static_cast<void*>(names));  // NOLINT
  if (!act) act = FP_TRY(listen_unix(paths.control_socket(), kActGroup));
  FP_CHECK_OK(server.serve(std::move(act), ControlRight::Act));
  return server.serve(FP_TRY(listen_unix(paths.status_socket(), kReadGroup)), ControlRight::Read);
}

// Who clears the run directory takes the sockets along, and nobody could ask or stop the agent.
void Daemon::keep_sockets() {
  struct Door {
    std::string path;
    const char* group;
    ControlRight right;
  };
  std::string trouble;
  for (const Door& door : {Door{paths_.status_socket(), kReadGroup, ControlRight::Read},
                           Door{paths_.control_socket(), kActGroup, ControlRight::Act}}) {
    if (::access(door.path.c_str(), F_OK) == 0) continue;
    const auto made = [&]() -> Result<> {
      FP_CHECK_OK(make_again(paths_.run_dir));
      return control_.serve(FP_TRY(listen_unix(door.path, door.group)), door.right);
    }();
    if (made) {
      log::warning("a control socket was gone and was made again", {{"FP_PATH", door.path}});
    } else {
      trouble =
          "the run directory was cleared and cannot be filled again: " + made.error().message +
          "; restart the service";
    }
  }
  if (!trouble.empty() && trouble != run_trouble_) log::error(trouble);
  run_trouble_ = std::move(trouble);
}

}  // namespace fieldpost
