// SPDX-License-Identifier: Apache-2.0
//
// The last configuration that ran: a copy of its files in the state directory.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/file.hpp"
#include "base/unique_fd.hpp"
#include "config/load.hpp"
#include "config/profiles.hpp"
#include "config/read.hpp"

namespace fieldpost {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOriginFile = "origin";  // holds the path that was loaded

ConfigFiles copy_of(const Loaded& loaded) {
  ConfigFiles copy = files_of(loaded);
  for (const auto& [name, content] : loaded.profiles) {
    if (loaded.own_profiles.contains(name)) continue;
    copy[(fs::path(kInstalledProfiles) / name).string()] = content;
  }
  std::error_code error;
  const fs::path origin = fs::absolute(loaded.path, error);
  copy[kOriginFile] = (error ? loaded.path : origin.lexically_normal().string()) + "\n";
  return copy;
}

// What is kept now, as far as it can be read.
ConfigFiles copy_in(const fs::path& folder) {
  ConfigFiles copy;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    auto content = read_regular_file(it->path().string(), kMaxFile);
    if (content) copy[it->path().lexically_relative(folder).string()] = *std::move(content);
  }
  return copy;
}

Result<> fail(const std::error_code& error, const std::string& what) {
  return Error::from_errno(error.value(), what);
}

Result<> sync_folder(const fs::path& folder) {
  const UniqueFd fd(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) {
    return Error::from_errno(errno, "sync '" + folder.string() + "'");
  }
  return {};
}

Result<> write_copy(const ConfigFiles& copy, const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);  // left over from a power cut
  fs::create_directories(folder / kDropInFolder, error);
  if (error) return fail(error, "create '" + folder.string() + "'");
  fs::permissions(folder, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec,
                  error);
  for (const auto& [name, content] : copy) {
    fs::create_directories((folder / name).parent_path(), error);
    if (error) return fail(error, "create a folder in '" + folder.string() + "'");
    FP_CHECK_OK(write_file_atomically((folder / name).string(), content));
  }
  return sync_folder(folder);
}

// Puts `fresh` in the place of `folder`; what was there is under the name `fresh` afterwards.
Result<> exchange(const fs::path& fresh, const fs::path& folder) {
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) {
    return {};
  }
  // Nothing was kept yet, or the file system cannot exchange (some overlays). Between the two
  // renames nothing is kept then, which costs a fall-back that is needed at that very moment.
  const fs::path old = folder.string() + ".old";
  std::error_code error;
  fs::remove_all(old, error);
  fs::rename(folder, old, error);
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail(error, "rename '" + folder.string() + "'");
  }
  fs::rename(fresh, folder, error);
  if (error) return fail(error, "rename '" + fresh.string() + "'");
  fs::remove_all(old, error);
  return {};
}

fs::path plain(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::weakly_canonical(path, error);
  return error ? fs::path(path) : absolute;
}

}  // namespace

ConfigFiles files_of(const Loaded& loaded) {
  ConfigFiles files;
  for (const auto& [path, content] : loaded.files) {
    const bool main = path == loaded.main_file;
    files[main ? kMainFile : (fs::path(kDropInFolder) / fs::path(path).filename()).string()] =
        content;
  }
  for (const auto& [name, content] : loaded.own_profiles) {
    files[(fs::path(kProfileFolder) / name).string()] = content;
  }
  return files;
}

ConfigFiles kept_files(const std::string& folder) {
  ConfigFiles files = copy_in(folder);
  files.erase(kOriginFile);
  std::erase_if(files, [](const auto& file) {
    return file.first.starts_with(std::string(kInstalledProfiles) + "/");
  });
  return files;
}

Result<> keep_config(const Loaded& loaded, const std::string& folder) {
  if (!loaded.usable()) return Error{Errc::Invalid, "this configuration is not usable"};
  // Running on what is kept: it stays what it is, its origin included.
  const fs::path target = plain(folder);
  if (plain(loaded.path) == target) return {};
  const ConfigFiles copy = copy_of(loaded);
  if (copy_in(target) == copy) return {};
  const fs::path fresh = target.string() + ".new";
  FP_CHECK_OK(write_copy(copy, fresh));
  FP_CHECK_OK(exchange(fresh, target));
  FP_CHECK_OK(sync_folder(target.parent_path()));
  std::error_code error;
  fs::remove_all(fresh, error);  // what was kept before; the next call tries again
  return {};
}

std::string kept_from(const std::string& folder) {
  auto origin = read_regular_file((fs::path(folder) / kOriginFile).string(), 4096);
  if (!origin) return "";
  if (origin->ends_with('\n')) origin->pop_back();
  return *std::move(origin);
}

}  // namespace fieldpost
