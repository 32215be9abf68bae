// SPDX-License-Identifier: Apache-2.0
#include "cli/config_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <ios>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>

#include "base/file.hpp"
#include "base/unique_fd.hpp"
#include "config/profiles.hpp"
#include "config/read.hpp"

namespace fieldpost::cli {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kForAll = 0644;
constexpr mode_t kForTheAgent = 0640;
constexpr mode_t kNewFolderMode = 0755;

bool is_profile(const std::string& name) {
  return name.starts_with(std::string(kProfileFolder) + "/");
}

// Whether it is one of ConfigFiles. The agent says some, and is to have nothing else written.
bool is_name(const fs::path& name) {
  if (name == kMainFile) return true;
  const auto depth = std::distance(name.begin(), name.end());
  if (name.extension() != ".toml" ||
      std::ranges::any_of(name, [](const fs::path& p) { return p.string().starts_with('.'); })) {
    return false;
  }
  return (depth == 2 && *name.begin() == kDropInFolder) ||
         (depth == 3 && *name.begin() == kProfileFolder);
}

// Names of conf.d in `folder` that are read.
Result<std::vector<std::string>> drop_ins_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.ends_with(".toml") && !name.starts_with('.')) names.push_back(name);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return Error::from_errno(error.value(), "read '" + folder.string() + "'");
  }
  return names;
}

// Nothing: there is no such file.
std::optional<FileRights> rights_of(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return std::nullopt;
  return FileRights{st.st_mode & 07777, st.st_uid, st.st_gid};
}

// The name in ConfigFiles of one that is applied by itself.
std::string name_of(const fs::path& file) {
  const std::string name = file.filename().string();
  return name == kMainFile ? name : (fs::path(kDropInFolder) / name).string();
}

// Replaces what a link leads to, not the link.
Result<> replace(const std::string& path, const std::string& content, const FileRights& fresh) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  const std::string target = error ? path : real.string();
  const FileRights rights = rights_of(target).value_or(fresh);
  FP_CHECK_OK(write_file_atomically(target, content, rights.mode));
  if (rights.uid == ::geteuid() && rights.gid == ::getegid()) return {};
  if (::chown(target.c_str(), rights.uid, rights.gid) != 0) {
    return Error::from_errno(errno, "chown '" + target + "'");
  }
  return {};
}

// For everybody to list, whatever the umask is.
Result<> make_folder(const fs::path& folder) {
  std::error_code error;
  const bool is_new = fs::create_directory(folder, error);
  if (is_new) fs::permissions(folder, fs::perms(kNewFolderMode), error);
  if (error) return Error::from_errno(error.value(), "create '" + folder.string() + "'");
  return {};
}

Result<> sync_folder(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return Error::from_errno(errno, "sync '" + path + "'");
  return {};
}

}  // namespace

std::map<std::string, std::string> to_texts(const Rights& rights) {
  std::map<std::string, std::string> texts;
  for (const auto& [name, r] : rights) {
    std::array<char, 64> text{};
    (void)std::snprintf(text.data(), text.size(), "%04o %u %u", r.mode, r.uid, r.gid);
    texts[name] = text.data();
  }
  return texts;
}

Rights rights_in(const std::map<std::string, std::string>& texts) {
  Rights rights;
  for (const auto& [name, text] : texts) {
    FileRights r;
    std::istringstream in(text);
    if (in >> std::oct >> r.mode >> std::dec >> r.uid >> r.gid) rights[name] = r;
  }
  return rights;
}

ConfigPlace::ConfigPlace(const std::string& config, gid_t group) : group_(group) {
  std::error_code ignored;
  const fs::path main =
      fs::is_directory(config, ignored) ? fs::path(config) / kMainFile : fs::path(config);
  main_file_ = main.string();
}

std::string ConfigPlace::folder() const { return fs::path(main_file_).parent_path().string(); }

std::string ConfigPlace::path_of(const std::string& name) const {
  return name == kMainFile ? main_file_ : (fs::path(folder()) / name).string();
}

// Of the files that are there.
Result<std::vector<std::string>> ConfigPlace::names() const {
  std::vector<std::string> names;
  std::error_code ignored;
  if (fs::exists(main_file_, ignored)) names.emplace_back(kMainFile);
  const auto drop_ins = FP_TRY(drop_ins_in(path_of(kDropInFolder)));
  for (const std::string& name : drop_ins) {
    names.push_back((fs::path(kDropInFolder) / name).string());
  }
  for (const std::string& name : profiles_in(path_of(kProfileFolder))) {
    names.push_back((fs::path(kProfileFolder) / name).string());
  }
  return names;
}

Result<ConfigFiles> ConfigPlace::read() const {
  ConfigFiles files;
  const auto all = FP_TRY(names());
  for (const std::string& name : all) {
    const std::string path = path_of(name);
    files[name] = FP_TRY(read_regular_file(path, kMaxFile).context("'" + path + "'"));
  }
  return files;
}

Result<> ConfigPlace::may_put() const {
  for (const std::string& folder : {folder(), path_of(kDropInFolder), path_of(kProfileFolder)}) {
    if (::access(folder.c_str(), W_OK) == 0 || errno == ENOENT) continue;
    return Error::from_errno(errno, "write into '" + folder + "'");
  }
  return {};
}

FileRights ConfigPlace::narrow() const { return {kForTheAgent, ::geteuid(), group_}; }

Rights ConfigPlace::rights() const {
  Rights rights;
  for (const std::string& name : names().value_or(std::vector<std::string>())) {
    if (const auto found = rights_of(path_of(name))) rights[name] = *found;
  }
  return rights;
}

Rights ConfigPlace::rights_like(const std::string& path) const {
  std::error_code ignored;
  Rights rights;
  if (fs::is_directory(path, ignored)) {
    rights = ConfigPlace(path).rights();
  } else if (const auto found = rights_of(path)) {
    rights[name_of(path)] = *found;
  }
  for (auto& [name, r] : rights) {
    r = (r.mode & S_IROTH) != 0 ? FileRights{kForAll, ::geteuid(), ::getegid()} : narrow();
  }
  return rights;
}

Result<> ConfigPlace::put(const ConfigFiles& wanted, const Rights& fresh) const {
  for (const auto& [name, content] : wanted) {
    if (!is_name(name)) return Error{Errc::Invalid, "'" + name + "' is no file of a configuration"};
  }
  FP_CHECK_OK(make_folder(path_of(kDropInFolder)));
  std::set<std::string> folders{folder(), path_of(kDropInFolder)};
  const ConfigFiles present = FP_TRY(read());
  for (const auto& [name, content] : wanted) {
    const auto it = present.find(name);
    if (it != present.end() && it->second == content) continue;
    if (is_profile(name)) {
      const fs::path type = fs::path(path_of(name)).parent_path();
      for (const fs::path& made : {type.parent_path(), type}) {
        FP_CHECK_OK(make_folder(made));
        folders.insert(made.string());
      }
    }
    const auto rights = fresh.find(name);
    FP_CHECK_OK(replace(path_of(name), content, rights == fresh.end() ? narrow() : rights->second));
  }
  for (const auto& [name, content] : present) {
    if (wanted.contains(name)) continue;
    if (::unlink(path_of(name).c_str()) != 0) {
      return Error::from_errno(errno, "remove '" + path_of(name) + "'");
    }
    folders.insert(fs::path(path_of(name)).parent_path().string());
  }
  for (const std::string& folder : folders) FP_CHECK_OK(sync_folder(folder));
  return {};
}

Result<ConfigFiles> with_changes(const std::string& path, const ConfigFiles& present) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    const fs::path file(path);
    const std::string name = file.filename().string();
    if (!name.ends_with(".toml") || name.starts_with('.')) {
      return Error{Errc::Invalid, "'" + path +
                                      "': expected a file whose name ends in .toml, as those of "
                                      "conf.d, or a folder"};
    }
    ConfigFiles files = present;
    files[name_of(file)] = FP_TRY(read_regular_file(path, kMaxFile).context("'" + path + "'"));
    return files;
  }
  ConfigFiles files = FP_TRY(ConfigPlace(path).read());
  if (std::ranges::all_of(files, is_profile, &ConfigFiles::value_type::first)) {
    return Error{Errc::Invalid,
                 "'" + path + "': expected fieldpost.toml or conf.d/*.toml in this folder"};
  }
  const bool has_profiles = fs::is_directory(fs::path(path) / kProfileFolder, ignored);
  for (const auto& file : present) {
    const bool stays = file.first == kMainFile || (is_profile(file.first) && !has_profiles);
    if (stays) files.insert(file);
  }
  return files;
}

}  // namespace fieldpost::cli
