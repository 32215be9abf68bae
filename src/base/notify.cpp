// SPDX-License-Identifier: Apache-2.0
#include "base/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>

namespace fieldpost {

// A new one for each notify(), as sd_notify() has it: whoever made the other end may have made it
// anew.
UniqueFd notify_socket() {
  const char* const variable = ::secure_getenv("NOTIFY_SOCKET");
  const std::string_view name = variable == nullptr ? "" : variable;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.empty() || name.size() >= sizeof address.sun_path) return {};
  name.copy(address.sun_path, name.size());
  if (name.front() == '@') address.sun_path[0] = '\0';  // in the abstract name space
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0)
    return {};
  return fd;
}

bool notify(std::string_view state) {
  if (::secure_getenv("NOTIFY_SOCKET") == nullptr) return true;
  const UniqueFd fd = notify_socket();
  return fd && ::send(fd.get(), state.data(), state.size(), MSG_NOSIGNAL) >= 0;
}

}  // namespace fieldpost
