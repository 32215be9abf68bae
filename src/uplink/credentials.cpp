// SPDX-License-Identifier: Apache-2.0
#include "uplink/credentials.hpp"

#include <utility>

#include "config/secret.hpp"

namespace fieldpost {
namespace {

Result<std::string> read_if_named(const std::string& file, const std::string& what) {
  if (file.empty()) return std::string();
  auto secret = read_secret(file);
  if (!secret) secret.error().message.insert(0, what + " '" + file + "' ");
  return secret;
}

}  // namespace

Result<Credentials> read_credentials(const Uplink::Options& o) {
  Credentials credentials;
  credentials.key = FP_TRY(read_if_named(o.access_key_file, "access key"));
  credentials.secret = FP_TRY(read_if_named(o.access_secret_file, "access secret"));
  credentials.proxy_login = FP_TRY(read_if_named(o.proxy_login_file, "proxy login"));
  for (const std::string& file :
       {o.access_key_file, o.access_secret_file, o.proxy_login_file, o.key_file}) {
    std::string trouble = file.empty() ? "" : mode_trouble(file);
    if (!trouble.empty()) credentials.troubles.push_back(std::move(trouble));
  }
  return credentials;
}

}  // namespace fieldpost
