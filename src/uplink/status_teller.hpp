// SPDX-License-Identifier: Apache-2.0
//
// Tells of the uplink's status: a change of state at once, counters (which change with every
// message) at most every 200 ms, as nobody reads faster. Lives on the loop's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>

#include "uplink/uplink.hpp"

namespace fieldpost {

class StatusTeller {
 public:
  using Sink = std::function<void(const UplinkStatus&)>;
  StatusTeller(boost::asio::io_context& io, Sink sink);  // the sink may be empty

  UplinkStatus now;  // to be changed by whoever knows; told by what follows

  void enter(UplinkStatus::State state);  // and tell()
  void tell();
  void tell_soon();

 private:
  Sink sink_;
  boost::asio::steady_timer timer_;
  bool waits_ = false;
};

}  // namespace fieldpost
