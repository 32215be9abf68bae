// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/mask.hpp"

namespace fieldpost::cli {

// A file of a configuration as "LINE: KEY = VALUE", without secrets and without comments: nobody
// knows what those hold. `mask` learns the secrets, also those of the files that it names. Of a
// file with a syntax error only that is said.
std::string masked_config(const std::string& file, const std::string& content, Mask& mask);

// What is in such a file, each line of it: an access key, a password, USER:PASSWORD, a private key.
// False if it cannot be read.
bool learn_file(const std::string& path, Mask& mask);

}  // namespace fieldpost::cli
