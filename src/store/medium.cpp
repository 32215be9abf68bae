// SPDX-License-Identifier: Apache-2.0
#include "store/medium.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>

namespace fieldpost {

std::string why_not_lasting(const std::string& folder) {
  struct statfs info {};
  if (::statfs(folder.c_str(), &info) != 0) return "";
  if ((info.f_flags & ST_RDONLY) != 0) {
    return "'" + folder + "' is on a file system that is read-only: readings that wait do not " +
           "survive a reboot; mount a data partition there (examples/systemd)";
  }
  switch (static_cast<uint32_t>(info.f_type)) {  // signed, and of 32 bits on 32 bits
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
      return "'" + folder + "' is in memory (tmpfs): what waits there does not survive a reboot; " +
             "put the state directory on a disk";
    case OVERLAYFS_SUPER_MAGIC:
      return "'" + folder +
             "' is on an overlay: what waits there does not survive a reboot if that is in "
             "memory, " +
             "as the overlay root of Raspberry Pi OS is; mount a data partition there";
    default:
      return "";
  }
}

std::string why_not_writable(const std::string& file) {
  const std::string folder = std::filesystem::path(file).parent_path().string();
  struct statvfs medium {};
  if (::statvfs(folder.c_str(), &medium) == 0 && (medium.f_flag & ST_RDONLY) != 0) {
    return "the file system is mounted read-only";
  }
  for (const std::string& path : {folder, file, file + "-wal"}) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) continue;
    if (path != folder && S_ISDIR(info.st_mode)) {
      return "'" + path + "' is a folder; move it away";
    }
    if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) == 0) continue;
    return "'" + path + "' belongs to user " + std::to_string(info.st_uid) +
           " and this runs as user " + std::to_string(::geteuid()) + ", which may not write it; " +
           "chown the folder and what is in it";
  }
  return "";
}

}  // namespace fieldpost
