// SPDX-License-Identifier: Apache-2.0
#include "fakes/loopback.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <stdexcept>

namespace fieldpost::test {

UniqueFd listen_at_loopback(bool ipv6, uint16_t& ret_port) {
  UniqueFd fd(::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  socklen_t size = ipv6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  auto& four = reinterpret_cast<sockaddr_in&>(address);
  auto& six = reinterpret_cast<sockaddr_in6&>(address);
  if (ipv6) {
    six.sin6_family = AF_INET6;
    six.sin6_addr = in6addr_loopback;
  } else {
    four.sin_family = AF_INET;
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  if (::bind(fd.get(), raw, size) != 0 || ::listen(fd.get(), 16) != 0 ||
      ::getsockname(fd.get(), raw, &size) != 0) {
    throw std::runtime_error("a server of the tests cannot listen");
  }
  ret_port = ntohs(ipv6 ? six.sin6_port : four.sin_port);
  return fd;
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace fieldpost::test
