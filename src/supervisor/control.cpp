// SPDX-License-Identifier: Apache-2.0
#include "supervisor/control.hpp"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "base/log.hpp"

namespace fieldpost {
namespace {

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error{Errc::Invalid, "the socket path '" + path + "' is longer than " +
                                    std::to_string(sizeof address.sun_path - 1) + " bytes"};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// As recv(), and the descriptor that came along, if any; of several the first, the others are
// closed.
ssize_t receive(int fd, std::span<char> block, UniqueFd& passed) {
  constexpr size_t kMost = 8;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMost * sizeof(int))> space{};
  iovec into{block.data(), block.size()};
  msghdr message{};
  message.msg_iov = &into;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  const ssize_t n = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (n < 0) return n;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int raw = -1;
      std::memcpy(&raw, CMSG_DATA(c) + at, sizeof raw);
      UniqueFd one(raw);
      if (!passed) passed = std::move(one);
    }
  }
  return n;
}

Json refusal(std::string_view why) { return Json{{"ok", false}, {"error", why}}; }

}  // namespace

Result<UniqueFd> listen_unix(const std::string& path, const std::string& group) {
  const sockaddr_un address = FP_TRY(address_of(path));
  const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::from_errno(errno, "make a socket");
  if (::connect(fd.get(), raw, sizeof address) == 0) {
    return Error{Errc::Unavailable, "another fieldpostd serves '" + path + "'"};
  }
  if (errno == EAGAIN) {  // its queue is full: it is there, though it does not answer
    return Error{Errc::Unavailable, "another fieldpostd serves '" + path + "' but is held up"};
  }
  (void)::unlink(path.c_str());  // nobody answered: left behind by a crash, or never there
  if (::bind(fd.get(), raw, sizeof address) != 0 || ::listen(fd.get(), 16) != 0 ||
      ::chmod(path.c_str(), 0660) != 0) {
    return Error::from_errno(errno, "listen at '" + path + "'");
  }
  // Under systemd the .socket unit has done this; by hand it needs root, and is no reason to fail.
  if (const struct group* const g = ::getgrnam(group.c_str());  // NOLINT(concurrency-mt-unsafe)
      g != nullptr && ::chown(path.c_str(), static_cast<uid_t>(-1), g->gr_gid) != 0) {
    log::debug("cannot give the control socket to its group",
               {{"FP_PATH", path}, {"FP_GROUP", group}});
  }
  return fd;
}

Result<> ControlServer::serve(UniqueFd listener, ControlRight right) {
  std::erase_if(listeners_, [right](const Listener& l) { return l.right == right; });
  Listener& l = listeners_.emplace_back(Listener{std::move(listener), right, {}, {}});
  l.readable = FP_TRY(loop_->on_readable(l.fd.get(), [this, &l] { on_accept(l); }));
  return {};
}

bool ControlServer::has_watchers() const {
  return std::ranges::any_of(connections_, &Connection::watching);
}

void ControlServer::on_accept(Listener& listener) {
  UniqueFd fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
    return pause(listener);
  }
  if (!fd) return;
  if (static_cast<size_t>(std::ranges::count(connections_, listener.right, &Connection::right)) >=
      kMaxConnections) {
    const std::string line = dump_json(refusal("too many connections; try again later")) + "\n";
    (void)::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL);
    return;
  }
  Connection& c = connections_.emplace_back();
  c.fd = std::move(fd);
  c.right = listener.right;
  auto readable = loop_->on_readable(c.fd.get(), [this, &c] { on_readable(c); });
  auto writable = loop_->on_writable(c.fd.get(), [this, &c] { flush(c); });
  if (!readable || !writable) return close_later(c);
  c.readable = *std::move(readable);
  c.writable = *std::move(writable);
  sd_event_source_set_enabled(c.writable.get(), SD_EVENT_OFF);
}

// The connection stays in the queue and the listener readable: trying at once again would spin.
void ControlServer::pause(Listener& listener) {
  auto resume = loop_->after(
      kPause, [&listener] { sd_event_source_set_enabled(listener.readable.get(), SD_EVENT_ON); });
  if (!resume) return;
  listener.resume = *std::move(resume);
  sd_event_source_set_enabled(listener.readable.get(), SD_EVENT_OFF);
}

void ControlServer::on_readable(Connection& c) {
  char block[16384];
  const ssize_t n = receive(c.fd.get(), block, c.passed);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n == 0 && c.deferred != 0) {  // it has said all, and waits for the answer
    c.ended = true;
    c.readable = Source();
    return;
  }
  if (n <= 0) return close_later(c);
  c.in.append(block, static_cast<size_t>(n));
  take_lines(c);
  if (c.deferred != 0 && c.in.size() > kMaxRequest) {
    sd_event_source_set_enabled(c.readable.get(), SD_EVENT_OFF);
  }
}

// Also what came while an answer was awaited.
void ControlServer::go_on(Connection& c) {
  take_lines(c);
  if (c.closing || c.deferred != 0) return;
  if (c.ended) return close_later(c);
  sd_event_source_set_enabled(c.readable.get(), SD_EVENT_ON);
}

void ControlServer::take_lines(Connection& c) {
  const auto may_go_on = [&c] { return !c.closing && c.deferred == 0; };
  for (size_t end = 0; may_go_on() && (end = c.in.find('\n')) != std::string::npos;) {
    on_line(c, std::string_view(c.in).substr(0, end));
    c.in.erase(0, end + 1);
  }
  if (may_go_on() && c.in.size() > kMaxRequest) {
    send(c, dump_json(refusal("a request is at most 1 MiB long")));
    close_later(c);
  }
}

void ControlServer::on_line(Connection& c, std::string_view line) {
  if (line.empty()) return;
  const auto request = parse_json(line);
  if (!request || !request->is_object()) {
    return send(c, dump_json(refusal("expected a JSON object in one line")));
  }
  bool watch = false;
  const uint64_t before = deferrals_;
  asking_ = &c;
  const Json answer = handler_(*request, c.right, &watch, std::move(c.passed));
  asking_ = nullptr;
  if (deferrals_ == before) send(c, dump_json(answer));
  c.watching = c.watching || watch;
}

uint64_t ControlServer::defer() {
  asking_->deferred = ++deferrals_;
  return deferrals_;
}

bool ControlServer::awaits(uint64_t deferred) const {
  return deferred != 0 && std::ranges::any_of(connections_, [deferred](const Connection& c) {
           return c.deferred == deferred && !c.closing;
         });
}

// What waits behind it is taken up from the loop: the caller may be in the middle of anything.
void ControlServer::answer(uint64_t deferred, const Json& answer) {
  if (!awaits(deferred)) return;
  Connection& c = *std::ranges::find(connections_, deferred, &Connection::deferred);
  c.deferred = 0;
  send(c, dump_json(answer));
  auto resumer = loop_->after(std::chrono::microseconds(0), [this] {
    for (Connection& waiting : connections_) go_on(waiting);
  });
  if (resumer) resumer_ = *std::move(resumer);
}

void ControlServer::broadcast(const std::string& line) {
  for (Connection& c : connections_) {
    if (!c.watching || c.closing) continue;
    if (c.out.size() > kMaxBacklog / 4) {
      ++c.dropped;
      continue;
    }
    if (c.dropped > 0) {
      const int64_t dropped = std::exchange(c.dropped, 0);
      send(c, dump_json(Json{{"dropped", dropped}}));
    }
    send(c, line);
  }
}

void ControlServer::send(Connection& c, std::string_view line) {
  if (c.closing) return;
  c.out += line;
  c.out += '\n';
  if (c.out.size() > kMaxBacklog) return c.out.clear(), close_later(c);
  flush(c);
}

void ControlServer::flush(Connection& c) {
  const ssize_t n =
      c.out.empty() ? 0
                    : ::send(c.fd.get(), c.out.data(), c.out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0 && errno != EAGAIN && errno != EINTR) return c.out.clear(), close_later(c);
  if (n > 0) c.out.erase(0, static_cast<size_t>(n));
  if (c.writable) {
    sd_event_source_set_enabled(c.writable.get(), c.out.empty() ? SD_EVENT_OFF : SD_EVENT_ON);
  }
}

// Not at once: the caller may be in the middle of this connection's callback, or of a loop.
void ControlServer::close_later(Connection& c) {
  if (c.closing) return;
  c.closing = true;
  c.readable = Source();
  auto reaper = loop_->after(std::chrono::microseconds(0), [this] { reap(); });
  if (reaper) reaper_ = *std::move(reaper);
}

void ControlServer::reap() {
  std::erase_if(connections_, [](const Connection& c) { return c.closing; });
}

}  // namespace fieldpost
