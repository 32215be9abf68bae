// SPDX-License-Identifier: Apache-2.0
#include "uplink/try_login.hpp"

#include <boost/asio/io_context.hpp>

#include <utility>

#include "base/text.hpp"
#include "uplink/credentials.hpp"
#include "uplink/line.hpp"
#include "uplink/setup.hpp"

namespace fieldpost {

Result<> try_login(const Uplink::Options& options, const BrokerAddress& broker,
                   std::chrono::milliseconds limit) {
  Line::Options line_is = line_options(options, broker, FP_TRY(read_credentials(options)));
  line_is.session.subscriptions.clear();
  boost::asio::io_context io;
  bool accepted = false;
  std::string step, reason;
  Line* dialled = nullptr;
  Line line(io, std::move(line_is),
            {.step = [&](const std::string& now) { step = now; },
             .up =
                 [&] {
                   accepted = true;
                   dialled->close();
                 },
             .down =
                 [&](const std::string& why, Line::End) {
                   reason = why;
                   io.stop();
                 },
             .acknowledged = [](const std::vector<int>&) {},
             .message = [](std::string_view, std::string_view) {}});
  dialled = &line;
  io.run_for(limit);
  if (accepted) return {};
  if (reason.empty()) reason = step + ": no end within " + about(limit);
  return Error{Errc::Unavailable, reason};
}

}  // namespace fieldpost
