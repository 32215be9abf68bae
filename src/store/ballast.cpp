// SPDX-License-Identifier: Apache-2.0
#include "store/ballast.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <vector>

#include "base/unique_fd.hpp"

namespace fieldpost {
namespace {

// Where the file system cannot allocate without writing.
Result<> fill(int fd, const std::string& path) {
  const std::vector<char> zeros(size_t{64} << 10);
  for (int64_t at = 0; at < Ballast::kBytes; at += static_cast<int64_t>(zeros.size())) {
    if (::pwrite(fd, zeros.data(), zeros.size(), at) != static_cast<ssize_t>(zeros.size())) {
      return Error::from_errno(errno, "write '" + path + "'");
    }
  }
  return {};
}

Result<> allocate(int fd, const std::string& path) {
  if (::fallocate(fd, 0, 0, Ballast::kBytes) == 0) return {};
  if (errno == EOPNOTSUPP) return fill(fd, path);
  return Error::from_errno(errno, "allocate '" + path + "'");
}

}  // namespace

Result<> Ballast::make() {
  struct stat info {};
  constexpr int64_t kBlock = 512;  // that st_blocks counts in
  made_ = ::stat(path_.c_str(), &info) == 0 && int64_t{info.st_size} == kBytes &&
          int64_t{info.st_blocks} * kBlock >= kBytes;
  if (made_) return {};
  const UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return Error::from_errno(errno, "create '" + path_ + "'");
  auto allocated = allocate(fd.get(), path_);
  if (!allocated) release();
  made_ = allocated.has_value();
  return allocated;
}

void Ballast::release() {
  ::unlink(path_.c_str());
  made_ = false;
  // A journalling file system gives freed blocks away only after its next commit.
  const UniqueFd folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) ::fsync(folder.get());
}

int64_t free_bytes(const std::string& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

}  // namespace fieldpost
