// SPDX-License-Identifier: Apache-2.0
#include "uplink/connect.hpp"

#include <boost/asio/post.hpp>
#include <fcntl.h>

#include <algorithm>

#include "base/text.hpp"
#include "uplink/endpoints.hpp"

namespace fieldpost {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

template <class Handler>
auto Connect::live(Handler handler) {
  return [alive = std::weak_ptr(alive_), handler = std::move(handler)](auto&&... args) mutable {
    const auto self = alive.lock();
    if (self && !(*self)->ended_) handler(std::forward<decltype(args)>(args)...);
  };
}

Connect::Connect(asio::io_context& io, Options options, Events events)
    : io_(io),
      options_(std::move(options)),
      events_(std::move(events)),
      timer_(io),
      lookup_ready_(io) {}

Connect::~Connect() = default;

void Connect::start() {
  error_code not_numeric;
  const auto address = asio::ip::make_address(options_.host, not_numeric);
  if (not_numeric) return resolve();
  endpoints_ = {{address, options_.port}};
  connect_next();
}

void Connect::abandon() {
  ended_ = true;
  error_code ignored;
  timer_.cancel(ignored);
  lookup_ready_.close(ignored);
  for (const auto& attempt : attempts_) attempt->socket.close(ignored);
}

void Connect::fail(const std::string& reason) {
  ended_ = true;
  events_.failed(reason);
}

void Connect::resolve() {
  const std::string step = "resolve " + options_.host;
  events_.step(step);
  auto lookup = Lookup::start(options_.resolve, options_.host);
  if (!lookup) return fail(step + ": " + lookup.error().message);
  lookup_ = std::move(*lookup);
  // A duplicate, because Asio closes what it watches.
  const int fd = ::fcntl(lookup_->fd(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return fail(Error::from_errno(errno, step).message);
  lookup_ready_.assign(fd);
  lookup_ready_.async_wait(asio::posix::descriptor_base::wait_read, live([this](error_code error) {
                             if (!error) on_resolved();
                           }));
  timer_.expires_after(options_.step_limit);
  timer_.async_wait(live([this, step](error_code error) {
    if (!error) fail(step + ": no answer in " + about(options_.step_limit));
  }));
}

void Connect::on_resolved() {
  timer_.cancel();
  auto addresses = lookup_->take();
  lookup_.reset();
  error_code ignored;
  lookup_ready_.close(ignored);
  const std::string step = "resolve " + options_.host + ": ";
  if (!addresses) return fail(step + addresses.error().message);
  endpoints_ = endpoints_of(*addresses, options_.port);
  if (endpoints_.empty()) return fail(step + "the name has no address");
  endpoints_.resize(std::min(endpoints_.size(), kMaxAddresses));
  connect_next();
}

void Connect::connect_next() {
  if (attempts_.size() == endpoints_.size()) return;
  const tcp::endpoint& endpoint = endpoints_[attempts_.size()];
  Attempt& attempt = *attempts_.emplace_back(std::make_unique<Attempt>(io_));
  attempt.step = "connect " + text_of(endpoint);
  timer_.expires_after(kStagger);
  timer_.async_wait(live([this](error_code error) {
    if (!error) connect_next();
  }));
  events_.step(attempt.step);
  connect(attempt, endpoint);
}

void Connect::connect(Attempt& attempt, const tcp::endpoint& endpoint) {
  error_code error;
  attempt.socket.open(endpoint.protocol(), error);
  if (error) {  // no such family on this machine
    asio::post(io_, live([this, &attempt, error] { on_connected(attempt, error); }));
    return;
  }
  attempt.socket.async_connect(endpoint,
                               live([this, &attempt](error_code e) { on_connected(attempt, e); }));
  attempt.limit.expires_after(options_.step_limit);
  attempt.limit.async_wait(live([this, &attempt](error_code e) {
    if (!e) on_connected(attempt, asio::error::timed_out);
  }));
}

void Connect::on_connected(Attempt& attempt, error_code error) {
  if (!attempt.refusal.empty()) return;  // has been given up
  if (!error) {
    ended_ = true;
    tcp::socket socket = std::move(attempt.socket);
    attempts_.clear();
    timer_.cancel();
    return events_.done(std::move(socket));
  }
  const bool in_time = error != asio::error::timed_out;
  attempt.refusal = attempt.step + ": " +
                    (in_time ? error.message() : "no answer in " + about(options_.step_limit));
  error_code ignored;
  attempt.socket.close(ignored);
  attempt.limit.cancel();
  if (attempts_.size() < endpoints_.size()) return connect_next();  // no need to wait for its turn
  std::string refusals;
  for (const auto& one : attempts_) {
    if (one->refusal.empty()) return;
    refusals += (refusals.empty() ? "" : "; ") + one->refusal;
  }
  fail(refusals);
}

}  // namespace fieldpost
