// SPDX-License-Identifier: Apache-2.0
#include "uplink/transport.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <unistd.h>

#include <array>
#include <concepts>
#include <cstring>
#include <optional>
#include <span>
#include <utility>  // before Asio: 1.74 uses std::exchange without it
#include <vector>

#include "base/text.hpp"
#include "uplink/connect.hpp"
#include "uplink/endpoints.hpp"
#include "uplink/mqtt_guard.hpp"
#include "uplink/private_socket.hpp"
#include "uplink/stream.hpp"

namespace fieldpost {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::local::stream_protocol;
using boost::system::error_code;

constexpr size_t kBufferSize = size_t{32} * 1024;

// One layer of the way to the broker that is still to be set up.
struct Step {
  std::string name;  // "TLS with broker.example"
  std::function<Result<std::unique_ptr<Stream>>(std::unique_ptr<Stream> below)> put_on;
};

std::vector<Step> steps_of(const Transport::Options& o) {
  std::vector<Step> steps;
  if (!o.proxy_host.empty()) {
    steps.push_back(
        {"proxy " + host_and_port(o.proxy_host, o.proxy_port), [&o](std::unique_ptr<Stream> below) {
           return proxy_tunnel(std::move(below), host_and_port(o.host, o.port), o.proxy_login);
         }});
  }
  if (o.tls) {
    steps.push_back({"TLS with " + o.host, [&o](std::unique_ptr<Stream> below) {
                       return tls_stream(std::move(below), {.host = o.host,
                                                            .ca_file = o.ca_file,
                                                            .cert_file = o.cert_file,
                                                            .key_file = o.key_file});
                     }});
  }
  if (!o.web_socket_path.empty()) {
    const bool usual_port = o.port == (o.tls ? 443 : 80);
    steps.push_back({"WebSocket with " + o.host, [&o, usual_port](std::unique_ptr<Stream> below) {
                       return web_socket(std::move(below),
                                         host_and_port(o.host, usual_port ? uint16_t{0} : o.port),
                                         o.web_socket_path);
                     }});
  }
  return steps;
}

// One connection. Owned by the handle that start_relay() gave out and by the operations that are
// under way: streams must outlive their operations, even cancelled ones.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  Relay(asio::io_context& io, Transport::Options options, Transport::Events events)
      : io_(io),
        options_(std::move(options)),
        events_(std::move(events)),
        deadline_(io),
        steps_(steps_of(options_)),
        acceptor_(io),
        client_(io) {}

  void start();
  void abandon();
  int64_t unsent_bytes() const { return stream_ ? stream_->unsent_bytes() : 0; }

 private:
  void begin_step(std::string step);
  void fail(const std::string& reason);
  void close_all();
  void listen();
  void connect();
  void on_connected(tcp::socket socket);
  void open_next();
  void be_ready();
  void pump_up();
  void pump_down();
  void on_received(size_t bytes);
  void hand_on();
  void on_handed_on(size_t end);
  void on_client_closed();
  void on_lost(error_code error);
  void on_write_failed(error_code error);

  // A handler that keeps this alive and is not called once the relay has ended.
  template <class Handler>
  auto live(Handler handler) {
    return [ self = shared_from_this(), handler = std::move(handler) ](
        auto... args) mutable requires std::invocable<Handler&, decltype(args)...> {
      if (!self->ended_) handler(std::move(args)...);
    };
  }

  asio::io_context& io_;
  Transport::Options options_;
  Transport::Events events_;
  bool ended_ = false;
  bool closing_ = false;
  std::string step_;
  asio::steady_timer deadline_;
  std::unique_ptr<Connect> connect_;
  std::unique_ptr<Stream> stream_;  // the topmost layer
  std::vector<Step> steps_;
  size_t next_step_ = 0;
  error_code write_error_;
  std::string socket_path_;
  stream_protocol::acceptor acceptor_;
  stream_protocol::socket client_;
  MqttGuard guard_;
  std::array<std::byte, kBufferSize> up_{}, down_{};
  size_t down_begin_ = 0, down_end_ = 0;  // what came from the broker and is to be handed on
  bool handing_on_ = false;
  std::optional<error_code> lost_;  // after that
};

void Relay::start() {
  asio::post(io_, live([this] {
               listen();
               if (!ended_) connect();
             }));
}

void Relay::abandon() {
  ended_ = true;
  close_all();
}

void Relay::close_all() {
  error_code ignored;
  deadline_.cancel(ignored);
  acceptor_.close(ignored);
  if (!socket_path_.empty()) ::unlink(std::exchange(socket_path_, {}).c_str());
  client_.close(ignored);
  if (stream_) stream_->abandon();
  if (!connect_) return;
  connect_->abandon();
  // Gone later: this may be within one of its events.
  asio::post(io_, [connect = std::move(connect_)] {});
}

void Relay::fail(const std::string& reason) {
  if (std::exchange(ended_, true)) return;
  close_all();
  if (events_.ended) events_.ended(reason);
}

// Each step has a name and a limit; whatever hangs, it ends with its own words.
void Relay::begin_step(std::string step) {
  step_ = std::move(step);
  deadline_.expires_after(options_.step_limit);
  deadline_.async_wait(live([this, expected = step_](error_code error) {
    if (error || step_ != expected) return;
    fail(step_ + ": no answer in " + about(options_.step_limit));
  }));
  events_.step(step_);
}

void Relay::listen() {
  auto path = prepare_socket_path(options_.run_dir, "uplink.sock");
  if (!path) return fail(path.error().message);
  error_code error;
  acceptor_.open(stream_protocol(), error);
  if (!error) acceptor_.bind(stream_protocol::endpoint(*path), error);
  if (!error) {
    socket_path_ = *path;
    acceptor_.listen(1, error);
  }
  if (error) fail("private socket '" + *path + "': " + error.message());
}

void Relay::connect() {
  const bool direct = options_.proxy_host.empty();
  connect_ = std::make_unique<Connect>(
      io_,
      Connect::Options{.host = direct ? options_.host : options_.proxy_host,
                       .port = direct ? options_.port : options_.proxy_port,
                       .resolve = options_.resolve,
                       .step_limit = options_.step_limit},
      // None of them comes once this has ended: close_all().
      Connect::Events{.step = [this](const std::string& step) { events_.step(step); },
                      .done = [this](tcp::socket socket) { on_connected(std::move(socket)); },
                      .failed = [this](const std::string& reason) { fail(reason); }});
  connect_->start();
}

void Relay::on_connected(tcp::socket socket) {
  stream_ = tcp_stream(std::move(socket), options_.lost_after);
  open_next();
}

void Relay::open_next() {
  if (next_step_ == steps_.size()) return be_ready();
  const Step& step = steps_[next_step_++];
  begin_step(step.name);
  auto layer = step.put_on(std::move(stream_));
  if (!layer) return fail(step_ + ": " + layer.error().message);
  stream_ = std::move(*layer);
  stream_->open(live([this](error_code error, size_t) {
    if (error) return fail(step_ + ": " + stream_->why(error));
    open_next();
  }));
}

void Relay::be_ready() {
  deadline_.cancel();
  step_.clear();
  acceptor_.async_accept(client_, live([this](error_code error) {
                           if (error) return fail("private socket: " + error.message());
                           error_code ignored;
                           acceptor_.close(ignored);  // one client, once
                           ::unlink(std::exchange(socket_path_, {}).c_str());
                           pump_up();
                           pump_down();
                         }));
  const std::string path = socket_path_;
  events_.ready(path);
}

// From libmosquitto to the broker. Reads again only when the broker's side has taken everything:
// that is the back pressure.
void Relay::pump_up() {
  client_.async_read_some(asio::buffer(up_), live([this](error_code error, size_t bytes) {
                            if (error) return on_client_closed();
                            stream_->write({asio::buffer(up_.data(), bytes)},
                                           live([this](error_code e, size_t) {
                                             if (e) return on_write_failed(e);
                                             pump_up();
                                           }));
                          }));
}

// From the broker to libmosquitto. Reads on while that takes its time, as long as there is room.
void Relay::pump_down() {
  if (down_end_ == down_.size()) return;
  stream_->read(asio::buffer(down_) + down_end_, live([this](error_code error, size_t bytes) {
                  if (!error) return on_received(bytes);
                  lost_ = error;
                  if (!handing_on_) on_lost(error);
                }));
}

void Relay::on_received(size_t bytes) {
  if (auto fine = guard_.feed(std::span(down_).subspan(down_end_, bytes)); !fine) {
    return fail(fine.error().message);
  }
  if (down_begin_ == down_end_) {  // nothing else is there
    std::memmove(down_.data(), down_.data() + down_end_, bytes);
    down_begin_ = down_end_ = 0;
  }
  down_end_ += bytes;
  pump_down();
  if (!std::exchange(handing_on_, true)) hand_on();
}

// What comes in one by one, a TLS record or a frame for each acknowledgement, is handed on
// together, or each would be answered by a message in a packet of its own. So it waits as long as
// each turn of the loop brings more; a read that need not wait for the network is done within one.
void Relay::hand_on() {
  asio::post(io_, live([this, seen = down_end_] {
               if (down_end_ > seen) return hand_on();
               asio::async_write(client_,
                                 asio::buffer(down_.data() + down_begin_, seen - down_begin_),
                                 live([this, seen](error_code error, size_t) {
                                   // Else libmosquitto has closed its side: pump_up() sees it too.
                                   if (!error) on_handed_on(seen);
                                 }));
             }));
}

void Relay::on_handed_on(size_t end) {
  const bool was_full = down_end_ == down_.size();
  down_begin_ = end;
  if (down_begin_ < down_end_) {
    hand_on();
  } else {
    handing_on_ = false;
    if (was_full) down_begin_ = down_end_ = 0;
  }
  if (lost_ && !handing_on_) return on_lost(*lost_);
  if (was_full && !handing_on_) pump_down();
}

// All that the client wrote has been sent.
void Relay::on_client_closed() {
  closing_ = true;
  begin_step("say goodbye");
  stream_->close(live([this](error_code, size_t) { fail("closed"); }));
}

void Relay::on_lost(error_code error) {
  if (closing_) return;  // the goodbye that was expected
  fail(stream_->why(error == asio::error::eof && write_error_ ? write_error_ : error));
}

// The reading side may know better why: what a broker says before it hangs up is still to be read.
// It sees the end of the same socket; any other error is of our own making.
void Relay::on_write_failed(error_code error) {
  if (error.category() != boost::system::system_category()) return fail(stream_->why(error));
  if (error != asio::error::broken_pipe) write_error_ = error;
}

class Handle : public Transport {
 public:
  explicit Handle(std::shared_ptr<Relay> relay) : relay_(std::move(relay)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() override { relay_->abandon(); }
  int64_t unsent_bytes() const override { return relay_->unsent_bytes(); }

 private:
  std::shared_ptr<Relay> relay_;
};

}  // namespace

std::unique_ptr<Transport> start_relay(asio::io_context& io, Transport::Options options,
                                       Transport::Events events) {
  auto relay = std::make_shared<Relay>(io, std::move(options), std::move(events));
  relay->start();
  return std::make_unique<Handle>(std::move(relay));
}

}  // namespace fieldpost
