// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"

namespace fieldpost {

struct Credentials {
  std::string key, secret;
};

// Reads both files, without the line end. No key file: no credentials. Errors, which never show
// what is in the files: NotFound, Invalid (empty, several lines, too long), Io.
Result<Credentials> read_credentials(const std::string& key_file, const std::string& secret_file);

}  // namespace fieldpost
