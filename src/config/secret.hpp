// SPDX-License-Identifier: Apache-2.0
//
// Secrets live in files of their own: systemd credentials, or what access_key_file and
// access_secret_file name. Nothing here ever puts their content into a message.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "config/node.hpp"
#include "config/problems.hpp"

namespace fieldpost {

// One line of text without control characters, at most 4 KiB; a line end after it is left out.
// For checks and for every login. Errors: NotFound, Io, Invalid, each with words that follow a
// key or a path: "is empty".
Result<std::string> read_secret(const std::string& path);
// The same of a text. Errors: Invalid, as above.
Result<> check_secret(std::string_view text);

// Whether a text has the form in which Losant makes them. Other brokers have other ones.
bool is_losant_key(std::string_view text);
bool is_losant_secret(std::string_view text);
inline constexpr const char* kLosantKey = "a Losant access key (a UUID)";
inline constexpr const char* kLosantSecret = "a Losant access secret (64 hex digits)";

// What others may do with a file that holds a secret, and how to take that away, in words; empty:
// nothing. The group may read: that is how a service that is not root gets at a file of root's.
std::string mode_trouble(const std::string& path);

// The files named for secrets that plugins are to be kept from, canonical. Without those below
// /etc: to hide one, each of its neighbours would have to be allowed as it is now
// (host/file_wall.hpp), and a resolv.conf that is replaced later could not be opened.
// check_secrets() warns of them.
std::vector<std::string> secrets_to_hide(const UplinkConfig& uplink);

// Fills in what systemd hands over where the configuration names no file, and checks that what
// will be needed to log in can be read.
void check_secrets(const Node& uplink, UplinkConfig& config, Problems& problems);

}  // namespace fieldpost
