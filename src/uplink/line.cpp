// SPDX-License-Identifier: Apache-2.0
#include "uplink/line.hpp"

#include <boost/asio/post.hpp>
#include <fcntl.h>
#include <poll.h>

#include "base/text.hpp"

namespace fieldpost {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

bool is_readable(int fd) {
  pollfd poll{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poll, 1, 0) > 0;
}

}  // namespace

template <class Handler>
auto Line::live(Handler handler) {
  return [alive = std::weak_ptr(alive_), handler = std::move(handler)](auto&&... args) mutable {
    const auto line = alive.lock();
    if (line && !(*line)->ended_) handler(std::forward<decltype(args)>(args)...);
  };
}

Line::Line(asio::io_context& io, Options options, Events events)
    : io_(io), options_(std::move(options)), events_(std::move(events)), watched_(io), login_(io) {
  transport_ = start_relay(
      io_, options_.transport,
      {.step = live([this](const std::string& step) { events_.step(step); }),
       .ready = live([this](const std::string& path) { on_ready(path); }),
       .ended = live([this](const std::string& reason) { on_transport_ended(reason); })});
}

Line::~Line() = default;

void Line::fail(const std::string& reason) {
  if (std::exchange(ended_, true)) return;
  error_code ignored;
  watched_.close(ignored);
  login_.cancel(ignored);
  End end = reason.starts_with(Transport::kClosed) ? End::Broker : End::Other;
  if (session_ && session_->refusal_code() == 5) end = End::Refusal;
  // Later, because we may be inside a call of either; and so that nobody destroys this under us.
  asio::post(io_, [alive = std::weak_ptr(alive_), reason, end] {
    const auto line = alive.lock();
    if (!line) return;
    (*line)->session_.reset();
    (*line)->events_.down(reason, end);
  });
}

void Line::on_ready(const std::string& path) {
  auto session = Session::open(path, options_.session, events_.message);
  if (!session) return fail(session.error().message);
  session_ = std::move(*session);
  last_heard_ = std::chrono::steady_clock::now();
  // A duplicate, because libmosquitto closes its own when it likes, and Asio closes what it
  // watches.
  const int fd = ::fcntl(session_->fd(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return fail(Error::from_errno(errno, "watch the session").message);
  watched_.assign(fd);
  events_.step("log in as " + options_.session.client_id);
  watch_login();
  watch_read();
  flush();
}

void Line::watch_login() {
  login_.expires_after(options_.transport.step_limit);
  login_.async_wait(live([this](error_code error) {
    if (error || up_) return;
    fail("log in as " + options_.session.client_id + ": no answer in " +
         about(options_.transport.step_limit));
  }));
}

void Line::watch_read() {
  watched_.async_wait(asio::posix::descriptor_base::wait_read, live([this](error_code error) {
                        if (!error) on_readable();
                      }));
}

void Line::on_readable() {
  if (!session_) return;  // closed since
  last_heard_ = std::chrono::steady_clock::now();
  // Several packets for each turn of the loop, but not without end: others have a turn too.
  for (int i = 0; i < 32; ++i) {
    const bool fine = go_on(session_->read());
    deliver();
    if (!fine || ended_) return;
    if (!is_readable(watched_.native_handle())) break;
  }
  if (up_ && events_.heard) events_.heard();
  flush();
  if (!ended_) watch_read();
}

// Tells what the session has learnt.
void Line::deliver() {
  if (!up_ && session_->connected()) {
    up_ = true;
    error_code ignored;
    login_.cancel(ignored);
    events_.up();
  }
  const std::vector<int> mids = session_->take_acknowledged();
  if (!mids.empty()) events_.acknowledged(mids);
}

void Line::flush() {
  if (!session_ || ended_ || watching_write_) return;
  if (go_on(session_->write()) && session_->wants_write()) watch_write();
}

void Line::watch_write() {
  watching_write_ = true;
  watched_.async_wait(asio::posix::descriptor_base::wait_write, live([this](error_code error) {
                        watching_write_ = false;
                        if (!error) flush();
                      }));
}

// TCP_USER_TIMEOUT watches the way to the next machine alone: a proxy, or a broker whose process
// hangs, acknowledges bytes all the same. libmosquitto asks after a keepalive of silence, and would
// wait another one for the answer.
bool Line::is_silent() {
  const auto now = std::chrono::steady_clock::now();
  if (transport_->unsent_bytes() > 0) last_heard_ = now;  // the network has not lost them yet
  return now - last_heard_ > session_->keepalive() * 3 / 2 - std::chrono::seconds(1);
}

void Line::on_tick() {
  if (!session_ || ended_ || !go_on(session_->tick())) return;
  if (is_silent()) return fail("the broker has been silent for one and a half keepalives");
  flush();
}

bool Line::go_on(const Result<>& result) {
  if (!result) fail(result.error().message);
  return result.has_value();
}

// Its words are better than what the session sees, the end of a file; but what came before the end
// counts, such as a refusal.
void Line::on_transport_ended(const std::string& reason) {
  if (!session_) return fail(reason);
  Result<> result;
  for (int i = 0; i < 1'000 && result && is_readable(watched_.native_handle()); ++i) {
    result = session_->read();
  }
  const bool refused = !result && result.error().code == Errc::Unavailable;
  // First: what is delivered asks for more to be sent, and the session would fail with that.
  fail(refused ? result.error().message : reason);
  deliver();
}

Result<int> Line::publish(const std::string& topic, std::string_view payload, int qos) {
  if (!session_ || ended_) return Error{Errc::Unavailable, "the line is down"};
  return session_->publish(topic, payload, qos);
}

void Line::set_subscriptions(std::vector<Subscription> subscriptions) {
  options_.session.subscriptions = subscriptions;
  if (!session_ || ended_) return;
  session_->set_subscriptions(std::move(subscriptions));
  flush();
}

void Line::set_max_in_flight(int messages) {
  options_.session.max_in_flight = messages;
  if (session_ && !ended_) session_->set_max_in_flight(messages);
}

std::vector<std::string> Line::refused_topics() const {
  return session_ ? session_->refused_topics() : std::vector<std::string>();
}

Session::Retained Line::take_retained() {
  return session_ ? session_->take_retained() : Session::Retained();
}

void Line::ask_again_now() {
  if (session_) session_->ask_again_now();
}

void Line::close() {
  asio::post(io_, live([this] { close_session(); }));  // not inside a call of the session
}

void Line::close_session() {
  if (!session_) return fail("closed");
  session_->disconnect();
  (void)session_->write();  // what does not leave at once is not worth waiting for
  error_code ignored;
  watched_.close(ignored);
  session_.reset();  // closes our end of the socket: the transport sees it, and ends in order
}

}  // namespace fieldpost
