// SPDX-License-Identifier: Apache-2.0
#include "base/seqpacket.hpp"

#include <sys/socket.h>
#include <sys/un.h>

namespace fieldpost {
namespace {

void widen(int fd) {
  const int bytes = static_cast<int>(4 * kMaxDatagram);  // the kernel may cap it: harmless
  (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> make_seqpacket_pair() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return Error::from_errno(errno, "make a socket pair");
  }
  std::pair<UniqueFd, UniqueFd> pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
  for (const int fd : ends) widen(fd);
  return pair;
}

Result<UniqueFd> connect_seqpacket(const std::string& path) {
  const std::string what = "connect to '" + path + "'";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Error{Errc::Io, what + ": path too long"};
  path.copy(address.sun_path, path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::from_errno(errno, what);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Error::from_errno(errno, what);
  }
  widen(fd.get());
  return fd;
}

Result<> send_datagram(int fd, std::span<const std::byte> datagram, bool wait) {
  for (;;) {
    const ssize_t n =
        ::send(fd, datagram.data(), datagram.size(), MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    if (n >= 0) return {};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return Error{Errc::Full, "the peer does not read"};
    if (errno == EPIPE || errno == ECONNRESET) return Error{Errc::Unavailable, "the peer is gone"};
    return Error::from_errno(errno, "send a datagram");
  }
}

Result<size_t> next_datagram(int fd) {
  for (;;) {
    const ssize_t n = ::recv(fd, nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EINTR || errno == ECONNRESET) continue;  // see receive_datagram
    if (errno == EAGAIN) return Error{Errc::Unavailable, "nothing there"};
    return Error::from_errno(errno, "receive a datagram");
  }
}

Result<std::span<std::byte>> receive_datagram(int fd, std::vector<std::byte>& buffer, bool wait) {
  for (;;) {
    const ssize_t n =
        ::recv(fd, buffer.data(), buffer.size(), MSG_TRUNC | (wait ? 0 : MSG_DONTWAIT));
    if (n >= 0 && static_cast<size_t>(n) > buffer.size()) {
      return Error{Errc::Invalid, "a datagram of " + std::to_string(n) + " bytes"};
    }
    if (n >= 0) return std::span(buffer).first(static_cast<size_t>(n));
    // ECONNRESET: the peer closed with something of ours unread. Reported once, and ahead of what
    // the peer had sent before: its last words and the end of file are still to come.
    if (errno == EINTR || errno == ECONNRESET) continue;
    if (errno == EAGAIN) return Error{Errc::Unavailable, "nothing there"};
    return Error::from_errno(errno, "receive a datagram");
  }
}

}  // namespace fieldpost
