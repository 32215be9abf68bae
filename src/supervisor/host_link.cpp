// SPDX-License-Identifier: Apache-2.0
#include "supervisor/host_link.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <iterator>

#include "base/seqpacket.hpp"

namespace fieldpost {
namespace {

constexpr int kLeftBehind = 4'096;  // frames that drain() reads at most; a socket holds fewer

}  // namespace

HostLink::HostLink(EventLoop& loop, UniqueFd fd, Sinks sinks, const Limits& limits)
    : loop_(loop),
      fd_(std::move(fd)),
      sinks_(std::move(sinks)),
      messages_(limits.messages_per_second, limits.messages_at_once),
      bytes_(limits.bytes_per_second, limits.bytes_at_once) {}

Result<> HostLink::start() {
  readable_ = FP_TRY(loop_.on_readable(fd_.get(), [this] {
    const BootTime now = BootClock::now();
    for (int i = 0; i < kTurn && read_one(now); ++i) {
    }
  }));
  return {};
}

void HostLink::drain() {
  const BootTime now = BootClock::now();
  for (int i = 0; i < kLeftBehind && read_one(now); ++i) {
  }
}

void HostLink::finish() {
  writable_ = Source();
  queue_.clear();
  (void)::shutdown(fd_.get(), SHUT_WR);
}

void HostLink::close() {
  readable_ = Source();
  writable_ = Source();
  fd_ = UniqueFd();
  queue_.clear();
}

bool HostLink::break_off(const std::string& why) {
  readable_ = Source();
  sinks_.broken(why);
  return false;
}

bool HostLink::read_one(BootTime now) {
  if (!fd_) return false;
  const auto length = next_datagram(fd_.get());
  if (!length && length.error().code == Errc::Unavailable) return false;
  if (!length) return break_off(length.error().message);
  if (*length == 0) {
    readable_ = Source();  // the end stays readable
    sinks_.ended();
    return false;
  }
  if (!messages_.take(1, now) || !bytes_.take(static_cast<double>(*length), now)) {
    return break_off("sends more than it may");
  }
  buffer_.resize(std::min(*length, kMaxDatagram));
  const auto frame = receive_datagram(fd_.get(), buffer_, false);
  if (!frame) return break_off("sent " + frame.error().message);
  auto message = decoder_.feed(*frame);
  if (!message) return break_off("sent " + message.error().message);
  if (*message) sinks_.message(*std::move(*message));
  return static_cast<bool>(fd_);
}

bool HostLink::admit_log(size_t bytes, BootTime now) {
  return bytes_.take(static_cast<double>(bytes), now);
}

Result<> HostLink::send(const message::Any& message) {
  if (!fd_) return Error{Errc::Unavailable, "the connection is closed"};
  std::vector<std::vector<std::byte>> frames;
  FP_CHECK_OK(message::encode(message, sequence_, frames));
  if (queue_.size() + frames.size() > kMaxQueued) {
    sequence_ -= frames.size();
    return Error{Errc::Full, "the host does not take what it is sent"};
  }
  std::ranges::move(frames, std::back_inserter(queue_));
  if (!writable_) flush();
  return {};
}

void HostLink::flush() {
  while (!queue_.empty()) {
    const auto sent = send_datagram(fd_.get(), queue_.front(), false);
    if (!sent && sent.error().code == Errc::Full) break;
    // Otherwise the host is gone: its end of file tells what became of it.
    queue_.pop_front();
  }
  if (queue_.empty()) {
    writable_ = Source();
  } else if (!writable_) {
    auto source = loop_.on_writable(fd_.get(), [this] { flush(); });
    if (source) writable_ = *std::move(source);
  }
}

}  // namespace fieldpost
