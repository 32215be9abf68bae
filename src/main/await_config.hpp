// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/file.hpp"
#include "base/result.hpp"
#include "cli/paths.hpp"

namespace fieldpost {

// Each file that decides whether there is a usable configuration: its own, and the plugins.
using ConfigStamps = std::map<std::string, FileStamp>;
ConfigStamps config_stamps(const Paths& paths);

// For a service without a usable configuration, which systemd would start anew each second for
// ever: tells systemd, and whoever asks on the control sockets, that there is nothing to run
// (`status`, a sentence), and waits. These signals must be blocked.
enum class Woken : uint8_t {
  End,      // SIGTERM, SIGINT
  Changed,  // the files are no more as they were `seen`; or it is time to look whether what they
            // name is there by now, a certificate
  Asked,    // SIGHUP, or a reload on the control socket
};
// Errors: Io.
Result<Woken> await_config(const Paths& paths, const ConfigStamps& seen, const std::string& status);

}  // namespace fieldpost
