// SPDX-License-Identifier: Apache-2.0
#include "host/heartbeat.hpp"

#include <sys/socket.h>

#include <cstdlib>
#include <string_view>

#include "base/notify.hpp"

namespace fieldpost {

Heartbeat Heartbeat::from_environment() {
  Heartbeat heart;
  const char* const limit = ::secure_getenv("WATCHDOG_USEC");
  const long long usec = limit == nullptr ? 0 : std::strtoll(limit, nullptr, 10);
  if (usec <= 0) return heart;
  heart.fd_ = notify_socket();
  heart.period_ = std::chrono::microseconds(usec / 3);
  return heart;
}

void Heartbeat::beat(BootTime now) {
  if (!fd_ || now < due_) return;
  constexpr std::string_view kAlive = "WATCHDOG=1";
  const ssize_t n = ::send(fd_.get(), kAlive.data(), kAlive.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n > 0) due_ = now + period_ / 2;
}

}  // namespace fieldpost
