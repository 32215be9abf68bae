// SPDX-License-Identifier: Apache-2.0
#include "host/channel.hpp"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "base/seqpacket.hpp"
#include "host/stop_signal.hpp"

namespace fieldpost {
namespace {

constexpr int kLastWordsMs = 300;  // of the second that is left after SIGTERM

}  // namespace

Result<> Channel::wait_until_writable() {
  heart_.beat(BootClock::now());  // it is the supervisor that does not read, not the plugin's fault
  const nanoseconds period = std::min<nanoseconds>(heart_.period(), std::chrono::hours(1));
  const auto timeout = std::chrono::ceil<std::chrono::milliseconds>(period).count();
  pollfd watched[] = {{fd_, POLLOUT, 0}, {StopSignal::fd(), POLLIN, 0}};
  // Once stopping, the event descriptor stays readable and would end the wait at once.
  const bool stopping = StopSignal::raised();
  const int n =
      ::poll(watched, stopping ? 1 : 2, stopping ? kLastWordsMs : static_cast<int>(timeout));
  if (n < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
  if (n == 0 && stopping) return Error{Errc::Unavailable, "the supervisor does not read"};
  return {};
}

Result<> Channel::send(const message::Any& message) {
  frames_.clear();
  FP_CHECK_OK(message::encode(message, sequence_, frames_));
  for (const auto& frame : frames_) {
    for (;;) {
      const auto sent = send_datagram(fd_, frame, false);
      if (sent) break;
      if (sent.error().code != Errc::Full) return sent.error();
      FP_CHECK_OK(wait_until_writable());
    }
  }
  return {};
}

Result<std::optional<message::Any>> Channel::receive() {
  // Asks for the length first, so that a host keeps no buffer for the longest datagram.
  const auto length = next_datagram(fd_);
  if (!length && length.error().code == Errc::Unavailable) return std::optional<message::Any>{};
  if (!length) return length.error();
  if (*length == 0) return Error{Errc::Unavailable, "the supervisor is gone"};
  buffer_.resize(std::min(*length, kMaxDatagram));
  const auto frame = FP_TRY(receive_datagram(fd_, buffer_, false));
  auto message = decoder_.feed(frame);
  if (buffer_.capacity() > 4096) buffer_ = {};
  return message;
}

Result<message::Any> Channel::wait_for_message() {
  for (;;) {
    if (auto message = FP_TRY(receive())) return *std::move(message);
    pollfd watched[] = {{fd_, POLLIN, 0}, {StopSignal::fd(), POLLIN, 0}};
    if (::poll(watched, 2, -1) < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
    if (StopSignal::raised()) return Error{Errc::Unavailable, "stopped"};
  }
}

}  // namespace fieldpost
