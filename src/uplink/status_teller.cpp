// SPDX-License-Identifier: Apache-2.0
#include "uplink/status_teller.hpp"

#include <chrono>
#include <utility>

#include "base/clock.hpp"

namespace fieldpost {

namespace {

constexpr std::chrono::milliseconds kPeriod(200);

}  // namespace

StatusTeller::StatusTeller(boost::asio::io_context& io, Sink sink)
    : sink_(std::move(sink)), timer_(io) {}

void StatusTeller::enter(UplinkStatus::State state) {
  now.state = state;
  now.since_ns = BootClock::now().time_since_epoch().count();
  now.step.clear();
  if (state != UplinkStatus::State::Waiting) now.retry_ns = 0;
  tell();
}

void StatusTeller::tell() {
  if (sink_) sink_(now);
}

void StatusTeller::tell_soon() {
  if (std::exchange(waits_, true)) return;
  timer_.expires_after(kPeriod);
  timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;  // the timer, and perhaps this, is gone
    waits_ = false;
    tell();
  });
}

}  // namespace fieldpost
