// SPDX-License-Identifier: Apache-2.0
#include "base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/unique_fd.hpp"

namespace fieldpost {

Result<std::string> read_file(const std::string& path, size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return Error::from_errno(errno, "open '" + path + "'");
  std::string content;
  char block[4096];
  for (;;) {
    const ssize_t n = ::read(fd.get(), block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "read '" + path + "'");
    if (n == 0) return content;
    content.append(block, static_cast<size_t>(n));
    if (content.size() > limit) {
      return Error{Errc::Invalid,
                   "'" + path + "' is longer than " + std::to_string(limit) + " bytes"};
    }
  }
}

FileStamp file_stamp(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return {};
  return {int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec, st.st_size, st.st_ino};
}

namespace {

Result<> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "write '" + path + "'");
    content.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<> put_in_place(const std::string& path, std::string_view content, mode_t mode, bool sync) {
  const std::string temporary = path + ".new";
  ::unlink(temporary.c_str());  // left by a power cut; or somebody else's, in a folder like /tmp
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return Error::from_errno(errno, "create '" + temporary + "'");
  if (::fchmod(fd.get(), mode) != 0) return Error::from_errno(errno, "chmod '" + temporary + "'");
  auto written = write_all(fd.get(), content, temporary);
  if (written && sync && ::fsync(fd.get()) != 0)
    written = Error::from_errno(errno, "sync '" + temporary + "'");
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return Error::from_errno(errno, "rename '" + temporary + "'");
  }
  return {};
}

}  // namespace

Result<> replace_file(const std::string& path, std::string_view content, mode_t mode) {
  return put_in_place(path, content, mode, false);
}

Result<> write_file_atomically(const std::string& path, std::string_view content, mode_t mode) {
  FP_CHECK_OK(put_in_place(path, content, mode, true));
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const UniqueFd dir(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir || ::fsync(dir.get()) != 0) {
    return Error::from_errno(errno, "sync '" + folder.string() + "'");
  }
  return {};
}

}  // namespace fieldpost
