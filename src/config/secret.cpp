// SPDX-License-Identifier: Apache-2.0
#include "config/secret.hpp"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/text.hpp"
#include "config/read.hpp"

namespace fieldpost {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxSecret = 4096;

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// For HTTP's Basic authentication.
bool is_login(std::string_view text) { return text.find(':') != std::string_view::npos; }

// What [uplink] says of one secret, and what is known of the form Losant gives it.
struct Kind {
  const char* key;         // access_key_file
  const char* credential;  // as LoadCredential=fieldpost:FOLDER names the file
  bool (*usual)(std::string_view);
  const char* usual_form;
};
constexpr Kind kKey = {"access_key_file", "fieldpost_access_key", is_losant_key, kLosantKey};
constexpr Kind kSecret = {"access_secret_file", "fieldpost_access_secret", is_losant_secret,
                          kLosantSecret};

constexpr Kind kProxy = {"proxy_login_file", "fieldpost_proxy_login", is_login, "USER:PASSWORD"};

// The file of that name among systemd's credentials; empty: none.
std::string credential(const std::string& name) {
  const char* folder = ::secure_getenv("CREDENTIALS_DIRECTORY");  // set by systemd only
  if (folder == nullptr || *folder == '\0') return "";
  const std::string path = (fs::path(folder) / name).string();
  std::error_code error;
  return fs::exists(path, error) ? path : "";
}

std::string canonical(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  return error ? "" : real.string();
}

bool is_below_etc(const std::string& canonical_path) { return canonical_path.starts_with("/etc/"); }

// Who else may read it.
void check_reach(const Location& at, const std::string& name, const std::string& path,
                 Problems& problems) {
  const std::string trouble = mode_trouble(path);
  if (!trouble.empty()) problems.warning(at, name + trouble);
  if (!is_below_etc(canonical(path))) return;
  problems.warning(at, name + "plugins can read '" + printable(path) +
                           "' as the agent can, like all below /etc; they are kept from what lies "
                           "in /etc/fieldpost/credentials if this key is left out");
}

void check_one(const Kind& kind, const Node& uplink, std::string& path, Problems& problems) {
  const Member* given = uplink.find(kind.key);
  if (given == nullptr) path = credential(kind.credential);
  if (path.empty()) return;  // none, or named in a form that has been reported
  const Location at = given != nullptr ? given->value.at : Location{path, 0, 0};
  const std::string name = std::string("uplink.") + kind.key + ": ";
  const auto secret = read_secret(path);
  if (!secret)
    return problems.error(at, name + "'" + printable(path) + "' " + secret.error().message);
  if (!kind.usual(*secret)) {
    problems.warning(
        at, name + "what '" + printable(path) + "' holds does not look like " + kind.usual_form);
  }
  check_reach(at, name, path, problems);
}

}  // namespace

// 8-4-4-4-12 hex digits.
bool is_losant_key(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex(text[i])) return false;
  }
  return true;
}

bool is_losant_secret(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, is_hex);
}

Result<> check_secret(std::string_view text) {
  const auto invalid = [](const char* what) { return Error{Errc::Invalid, what}; };
  if (text.empty()) return invalid("is empty");
  if (text.size() > kMaxSecret) return invalid("is too long; expected at most 4 KiB");
  if (text.find('\n') != std::string::npos) return invalid("has several lines; expected one");
  const bool clean = std::ranges::none_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (!clean || !is_utf8(text)) return invalid("holds control characters; expected text");
  return {};
}

Result<std::string> read_secret(const std::string& path) {
  std::string text = FP_TRY(read_regular_file(path, kMaxSecret));
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  FP_CHECK_OK(check_secret(text));
  return text;
}

std::string mode_trouble(const std::string& path) {
  using enum fs::perms;
  std::error_code error;
  const fs::perms mode = fs::status(path, error).permissions();
  if (error) return "";
  if ((mode & others_read) != none) {
    return "everybody on this machine can read '" + printable(path) + "'; chmod o= takes that away";
  }
  if ((mode & (others_write | group_write)) != none) {
    return "others can change '" + printable(path) + "'; chmod go-w takes that away";
  }
  return "";
}

std::vector<std::string> secrets_to_hide(const UplinkConfig& uplink) {
  std::vector<std::string> files;
  for (const std::string& path : {uplink.access_key_file, uplink.access_secret_file,
                                  uplink.proxy_login_file, uplink.key_file}) {
    if (path.empty()) continue;
    const std::string real = canonical(path);
    if (!real.empty() && !is_below_etc(real)) files.push_back(real);
  }
  return files;
}

void check_secrets(const Node& uplink, UplinkConfig& config, Problems& problems) {
  const size_t errors = problems.errors();
  check_one(kKey, uplink, config.access_key_file, problems);
  check_one(kSecret, uplink, config.access_secret_file, problems);
  check_one(kProxy, uplink, config.proxy_login_file, problems);
  if (uplink.find("cert_file") == nullptr) config.cert_file = credential("fieldpost_client_cert");
  if (uplink.find("key_file") == nullptr) config.key_file = credential("fieldpost_client_key");
  if (const Member* key = uplink.find("key_file"); key != nullptr && !config.key_file.empty()) {
    check_reach(key->value.at, "uplink.key_file: ", config.key_file, problems);
  }
  const Member* secret = uplink.find(kSecret.key);
  if (problems.errors() == errors && secret != nullptr && config.access_key_file.empty() &&
      uplink.find(kKey.key) == nullptr && !config.access_secret_file.empty()) {
    problems.error(secret->at,
                   "uplink.access_secret_file: expected access_key_file beside it: MQTT "
                   "knows no password without a user name");
  }
}

}  // namespace fieldpost
