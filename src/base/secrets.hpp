// SPDX-License-Identifier: Apache-2.0
//
// What looks like a secret. Everything that leaves this machine, by hand or by itself, is looked
// through for it; in doubt too much counts as one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fieldpost {

inline constexpr std::string_view kMasked = "***";

// Whether what is called so is a secret: "password", "api_key", "AccessToken". Not the name of a
// file that holds one: "access_key_file"; nor a "monkey".
bool names_secret(std::string_view name);

// Where in a text, in order and apart from each other, secrets stand by their form: the login of a
// URL; what follows a secret's name and '=' or ':' or, of an option or when it is no plain word, a
// blank; what follows "is", "was" or "changed to" of such a name, unless it is what is usually said
// of secrets ("is missing", ": not found", "is 8 characters long"); the rest of a line after
// "authorization"; PEM blocks of private keys; 64 hexadecimal digits, as Losant's access secrets
// have.
struct SecretSpan {
  size_t begin, end;
};
std::vector<SecretSpan> find_secrets(std::string_view text);

// The text with *** instead of each of them.
std::string mask_secrets(std::string_view text);

}  // namespace fieldpost
