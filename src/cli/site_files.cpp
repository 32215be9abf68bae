// SPDX-License-Identifier: Apache-2.0
#include "cli/site_files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/temp_folder.hpp"
#include "base/text.hpp"
#include "cli/config_files.hpp"
#include "config/read.hpp"

namespace fieldpost::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDropIn = "conf.d/10-gateway.toml";
constexpr const char* kCredentials = "credentials";
constexpr const char* kKey = "credentials/access_key";
constexpr const char* kSecret = "credentials/access_secret";
constexpr mode_t kForAll = 0644;  // nothing in it is secret, and `fieldpost check` is for everybody
constexpr mode_t kForOwner = 0600;  // systemd reads it as root

Result<> make_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return Error::from_errno(errno, "make the folder '" + path + "'");
}

// What is in the way of writing into a folder, in words that end in what to do.
Result<> check_writable(const std::string& folder) {
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return {};
  const int why = errno;
  if (why == EACCES || why == EPERM) {
    return Error{Errc::Unavailable,
                 "you may not write to '" + folder + "': run  sudo fieldpost setup"};
  }
  if (why == EROFS) {
    return Error{Errc::Unavailable, "'" + folder +
                                        "' is on a read-only file system; make it writable for as "
                                        "long as this takes (mount -o remount,rw)"};
  }
  return Error::from_errno(why, "write to '" + folder + "'");
}

// JSON's strings are TOML's.
std::string quoted(const std::string& text) { return dump_json(Json(text)); }

std::string line(const std::string& key, const std::string& value) {
  return key + " = " + quoted(value) + "\n";
}

}  // namespace

Result<SiteFiles> SiteFiles::find(const Paths& paths) {
  SiteFiles files;
  files.profiles_ = paths.profile_folders();
  std::error_code error;
  const fs::path given = fs::absolute(paths.config, error);
  if (fs::is_directory(given, error)) {
    files.folder_ = given.string();
  } else {
    files.folder_ = given.parent_path().string();
    files.main_file_ = given.filename().string();
  }
  if (!fs::is_directory(files.folder_, error) || !fs::exists(given, error)) {
    return Error{Errc::NotFound, "there is no configuration at '" + given.string() +
                                     "': is the package fieldpost installed? Or give --config"};
  }
  files.by_systemd_ = fs::equivalent(files.folder_, Paths().config, error) && !error;
  for (const std::string& folder :
       {files.folder_, files.path(kDropInFolder), files.path(kCredentials)}) {
    if (!fs::exists(folder, error) && !error) continue;  // will be made
    FP_CHECK_OK(check_writable(folder));
  }
  return files;
}

bool SiteFiles::exists(const char* name) const {
  std::error_code error;
  return fs::exists(path(name), error);
}

bool SiteFiles::has_credentials() const { return exists(kKey) && exists(kSecret); }

// As it is to lie in `folder`.
std::string SiteFiles::drop_in_text(const Answers& answers, const std::string& folder) const {
  std::string text =
      "# Written by `fieldpost setup`; with --force it writes it anew. What else the site needs "
      "goes "
      "into\n# other files of this folder.\n[gateway]\n" +
      line("device_id", answers.device_id);
  std::string uplink;
  if (!answers.url.empty()) uplink += line("url", answers.url);
  if (!by_systemd_ && (!answers.access_key.empty() || exists(kKey)))
    uplink += line("access_key_file", folder + "/" + kKey);
  if (!by_systemd_ && (!answers.access_secret.empty() || exists(kSecret)))
    uplink += line("access_secret_file", folder + "/" + kSecret);
  if (!uplink.empty()) text += "\n[uplink]\n" + uplink;
  return text +
         "\n# How the machine itself is: something to send before there is any device.\n"
         "[[plugin]]\n" +
         line("name", "system") + line("type", "system") + line("interval", "60s");
}

// Those that files in `folder` name.
Result<> SiteFiles::put_credentials(const std::string& folder, const Answers& answers) const {
  if (by_systemd_) return {};
  FP_CHECK_OK(make_folder(folder + "/" + kCredentials, 0700));
  for (const auto& [name, secret] :
       {std::pair(kKey, &answers.access_key), std::pair(kSecret, &answers.access_secret)}) {
    if (secret->empty() && !exists(name)) continue;
    const std::string content =
        secret->empty()
            ? FP_TRY(read_regular_file(path(name), kMaxFile).context("'" + path(name) + "'"))
            : *secret;
    FP_CHECK_OK(replace_file(folder + "/" + name, content, kForOwner));
  }
  return {};
}

Result<Loaded> SiteFiles::check(const Answers& answers, PluginProbe& probe) const {
  const TempFolder scratch = FP_TRY(TempFolder::make());
  const ConfigPlace place(path(main_file_.c_str())), copy(scratch.path());
  ConfigFiles files = FP_TRY(place.read());
  files[kDropIn] = drop_in_text(answers, scratch.path());
  FP_CHECK_OK(copy.put(files));
  FP_CHECK_OK(put_credentials(scratch.path(), answers));
  Loaded loaded = load_config(scratch.path(), probe, profiles_);
  for (Problem& problem : loaded.problems) {  // where they will be, or are
    for (std::string* words : {&problem.location.file, &problem.text}) {
      replace_all(*words, copy.path_of(kMainFile), place.path_of(kMainFile));
      replace_all(*words, scratch.path(), folder_);
    }
  }
  return loaded;
}

Result<std::vector<std::string>> SiteFiles::write(const Answers& answers, bool replace) const {
  const std::string text = drop_in_text(answers, folder_);
  const auto old = exists(kDropIn) ? read_file(path(kDropIn), kMaxFile)
                                   : Result<std::string>(Error{Errc::NotFound, ""});
  const bool is_same = old && *old == text;
  if (exists(kDropIn) && !is_same && !replace) {
    return Error{Errc::Invalid, "'" + path(kDropIn) +
                                    "' is there already and says something else; nothing was "
                                    "written. --force replaces it"};
  }
  std::vector<std::string> written;
  FP_CHECK_OK(make_folder(path(kDropInFolder), 0755));
  FP_CHECK_OK(make_folder(path(kCredentials), 0700));
  for (const auto& [name, secret] :
       {std::pair(kKey, &answers.access_key), std::pair(kSecret, &answers.access_secret)}) {
    if (secret->empty()) continue;
    FP_CHECK_OK(write_file_atomically(path(name), *secret + "\n", kForOwner));
    written.push_back(path(name));
  }
  if (!is_same) {
    FP_CHECK_OK(write_file_atomically(path(kDropIn), text, kForAll));
    written.push_back(path(kDropIn));
  }
  return written;
}

}  // namespace fieldpost::cli
