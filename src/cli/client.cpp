// SPDX-License-Identifier: Apache-2.0
#include "cli/client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <string_view>

namespace fieldpost {
namespace {

constexpr time_t kConnectSeconds = 5;

Error why_not_connected(int errno_value, const std::string& path, bool act) {
  if (errno_value == EACCES || errno_value == EPERM) {
    const std::string group = act ? kActGroup : kReadGroup;
    return {Errc::Unavailable, "you may not open '" + path + "': run  sudo adduser $USER " + group +
                                   "  and log in again"};
  }
  if (errno_value == ENOENT || errno_value == ECONNREFUSED) {
    return {Errc::NotFound,
            "no fieldpostd runs at '" + path + "' (systemctl status fieldpost; or give --run-dir)"};
  }
  if (errno_value == EAGAIN) {
    return {Errc::Timeout, "fieldpostd does not answer at '" + path +
                               "': it is stopped or held up (systemctl status fieldpost)"};
  }
  return Error::from_errno(errno_value, "connect to '" + path + "'");
}

// As send(), with a descriptor, unless it is -1.
ssize_t send_with(int fd, std::string_view bytes, int pass) {
  if (pass < 0) return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof pass)> space{};
  iovec from{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &from;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  cmsghdr* const c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof pass);
  std::memcpy(CMSG_DATA(c), &pass, sizeof pass);
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

}  // namespace

Result<ControlClient> ControlClient::connect(const Paths& paths, bool act) {
  const std::string path = act ? paths.control_socket() : paths.status_socket();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error{Errc::Invalid, "the path '" + path + "' is too long for a socket"};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return Error::from_errno(errno, "make a socket");
  // An agent that is stopped does not accept: connect() would wait for ever.
  const timeval limit{kConnectSeconds, 0};
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return why_not_connected(errno, path, act);
  }
  return ControlClient(std::move(fd));
}

Result<Json> ControlClient::ask(const Json& request, std::chrono::milliseconds limit, int pass) {
  const std::string line = dump_json(request) + "\n";
  for (size_t sent = 0; sent < line.size();) {
    const ssize_t n =
        send_with(fd_.get(), std::string_view(line).substr(sent), sent == 0 ? pass : -1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;  // what it said before it closed is still to be read
    sent += static_cast<size_t>(n);
  }
  const std::string reply = FP_TRY(next_line(limit));
  Json answer = FP_TRY(parse_json(reply));
  if (answer.value("ok", false)) return answer;
  const Errc code = answer.value("waiting", false) ? Errc::NotFound : Errc::Invalid;
  return Error{code, answer.value("error", std::string("refused, without a reason"))};
}

Result<std::string> ControlClient::next_line(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    if (const size_t end = in_.find('\n'); end != std::string::npos) {
      std::string line = in_.substr(0, end);
      in_.erase(0, end + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (limit.count() >= 0 && left.count() < 0) {
      return Error{Errc::Timeout, "the agent did not answer in time"};
    }
    pollfd waiting{fd_.get(), POLLIN, 0};
    const int ready = ::poll(&waiting, 1, limit.count() < 0 ? -1 : static_cast<int>(left.count()));
    if (ready <= 0) continue;  // the deadline is judged above; EINTR too
    char block[65536];
    const ssize_t n = ::recv(fd_.get(), block, sizeof block, 0);
    if (n <= 0) return Error{Errc::Unavailable, "the agent went away"};
    in_.append(block, static_cast<size_t>(n));
  }
}

}  // namespace fieldpost
