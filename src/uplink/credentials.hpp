// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "uplink/uplink.hpp"

namespace fieldpost {

struct Credentials {
  std::string key, secret;            // MQTT's user name and password
  std::string proxy_login;            // "USER:PASSWORD"
  std::vector<std::string> troubles;  // with the modes of these files and of the client's key
};

// Reads the files that the options name; what has no file stays empty. Errors, which never show
// what is in the files: NotFound, Invalid (empty, several lines, too long), Io.
Result<Credentials> read_credentials(const Uplink::Options& options);

}  // namespace fieldpost
