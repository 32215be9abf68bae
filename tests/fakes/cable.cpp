// SPDX-License-Identifier: Apache-2.0
#include "fakes/cable.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>

#include "fakes/loopback.hpp"

namespace fieldpost::test {
namespace {

std::string receive(int fd) {
  std::string block(65536, '\0');
  const ssize_t n = ::recv(fd, block.data(), block.size(), 0);
  block.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return block;
}

void reset_on_close(int fd) {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

// So that a peer that takes nothing cannot keep us for ever.
void limit_sending(int fd) {
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

}  // namespace

Cable::Cable(Options options)
    : options_(std::move(options)),
      listener_(listen_at_loopback(options_.ipv6, port_)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { run(); }) {}

Cable::~Cable() {
  stop_ = true;
  ::eventfd_write(wake_.get(), 1);
  thread_.join();
}

void Cable::set(Mode mode) {
  mode_ = mode;
  ::eventfd_write(wake_.get(), 1);
}

std::vector<std::string> Cable::requests() const {
  const std::scoped_lock lock(mutex_);
  return requests_;
}

void Cable::run() {
  while (!stop_) {
    if (mode_ == Mode::Reset) {
      for (Pair& pair : pairs_) reset_on_close(pair.near.get());
      pairs_.clear();
    }
    std::vector<pollfd> polls{{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                              {.fd = listener_.get(), .events = POLLIN, .revents = 0}};
    bool waits = false;
    for (const Pair& pair : pairs_) {
      polls.push_back({.fd = pair.near.get(), .events = POLLIN, .revents = 0});
      // Nobody there yet: -1, which poll() leaves out.
      polls.push_back({.fd = pair.far.get(), .events = POLLIN, .revents = 0});
      waits = waits || !pair.to_near.empty();
    }
    if (::poll(polls.data(), polls.size(), waits ? 5 : -1) < 0) continue;
    eventfd_t ignored = 0;
    (void)::eventfd_read(wake_.get(), &ignored);
    auto polled = polls.begin() + 2;
    for (auto pair = pairs_.begin(); pair != pairs_.end(); polled += 2) {
      const bool goes_on = serve(*pair, polled[0].revents, polled[1].revents);
      pair = goes_on ? std::next(pair) : pairs_.erase(pair);
    }
    if (polls[1].revents != 0) accept();
  }
}

void Cable::accept() {
  Pair pair;
  pair.near = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!pair.near) return;
  ++connections_;
  limit_sending(pair.near.get());
  pair.through = options_.answer.empty();
  if (!pair.through || dial(pair)) pairs_.push_back(std::move(pair));
}

bool Cable::dial(Pair& pair) const {
  pair.far = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options_.to);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  limit_sending(pair.far.get());
  return ::connect(pair.far.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
         0;
}

bool Cable::serve(Pair& pair, short near_events, short far_events) {
  if (near_events != 0 && !take_near(pair)) return false;
  if (far_events != 0 && !take_far(pair)) return false;
  return pair.to_near.empty() || drip(pair);
}

bool Cable::take_near(Pair& pair) {
  const std::string bytes = receive(pair.near.get());
  if (bytes.empty()) return false;
  if (mode_ == Mode::Gone) {
    reset_on_close(pair.near.get());
    return false;
  }
  if (mode_ == Mode::Swallow) return true;
  if (!pair.through) return ask(pair, bytes);
  return send_all(pair.far.get(), bytes);
}

bool Cable::take_far(Pair& pair) {
  const std::string bytes = receive(pair.far.get());
  const bool deaf = mode_ == Mode::Swallow || mode_ == Mode::Gone;
  if (bytes.empty() && deaf) pair.far = UniqueFd();  // nobody is told
  if (deaf) return true;
  if (bytes.empty()) return false;
  if (mode_ != Mode::Drip && pair.to_near.empty()) return send_all(pair.near.get(), bytes);
  pair.to_near += bytes;
  return true;
}

bool Cable::drip(Pair& pair) {
  const bool slow = mode_ == Mode::Drip;
  const auto now = std::chrono::steady_clock::now();
  if (slow && now < pair.next_drip) return true;
  pair.next_drip = now + kDrip;
  const size_t n = slow ? 1 : pair.to_near.size();
  const bool sent = send_all(pair.near.get(), std::string_view(pair.to_near).substr(0, n));
  pair.to_near.erase(0, n);
  return sent;
}

bool Cable::ask(Pair& pair, std::string_view bytes) {
  pair.asked += bytes;
  if (!pair.asked.ends_with("\r\n\r\n")) return true;
  {
    const std::scoped_lock lock(mutex_);
    requests_.push_back(pair.asked);
  }
  pair.through = true;
  const bool granted = options_.answer.starts_with("HTTP/1.1 200");
  if (granted && !dial(pair)) return false;
  return send_all(pair.near.get(), options_.answer) && granted;
}

}  // namespace fieldpost::test
