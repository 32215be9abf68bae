// SPDX-License-Identifier: Apache-2.0
#include "uplink/private_socket.hpp"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

namespace fieldpost {

Result<std::string> prepare_socket_path(const std::string& folder, const std::string& name) {
  std::string path = folder + "/" + name;
  constexpr size_t kLimit = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() > kLimit) {
    return Error{Errc::Invalid, "the path of the private socket, '" + path + "', has " +
                                    std::to_string(path.size()) + " bytes; it may have " +
                                    std::to_string(kLimit) + ": choose a shorter run directory"};
  }
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error::from_errno(errno, "make folder '" + folder + "'");
  }
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) {
    return Error::from_errno(errno, "look at folder '" + folder + "'");
  }
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 077) != 0) {
    return Error{Errc::Invalid, "'" + folder + "' must be a folder that only we may enter (0700)"};
  }
  if (::lstat(path.c_str(), &info) != 0) return path;
  if (!S_ISSOCK(info.st_mode)) {
    return Error{Errc::Invalid, "'" + path + "' is in the way: it is not a socket"};
  }
  if (::unlink(path.c_str()) != 0) return Error::from_errno(errno, "remove '" + path + "'");
  return path;
}

}  // namespace fieldpost
