// SPDX-License-Identifier: Apache-2.0
#include "uplink/transport.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <concepts>
#include <optional>
#include <span>
#include <utility>  // before Asio: 1.74 uses std::exchange without it
#include <vector>

#include "base/file.hpp"
#include "base/text.hpp"
#include "uplink/endpoints.hpp"
#include "uplink/mqtt_guard.hpp"
#include "uplink/private_socket.hpp"
#include "uplink/tls_words.hpp"

namespace fieldpost {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::local::stream_protocol;
using boost::system::error_code;

constexpr size_t kMaxCaFile = size_t{4} << 20;
constexpr size_t kBufferSize = size_t{32} * 1024;

// "10 s", as a person says a limit.
std::string in_words(std::chrono::milliseconds limit) { return about(limit); }

// One connection. Owned by the handle that start_relay() gave out and by the operations that are
// under way: Asio's TLS stream must outlive its operations, even cancelled ones.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  Relay(asio::io_context& io, Transport::Options options, Transport::Events events)
      : io_(io),
        options_(std::move(options)),
        events_(std::move(events)),
        deadline_(io),
        lookup_ready_(io),
        acceptor_(io),
        client_(io),
        tcp_(io) {}

  void start();
  void abandon();
  int64_t unsent_bytes();

 private:
  void begin_step(std::string step);
  void fail(const std::string& reason);
  void close_all();
  void listen();
  void resolve();
  void on_resolved();
  void connect_next();
  void on_connected(error_code error, const std::string& step);
  void set_socket_options();
  void start_tls();
  Result<> set_up_tls();
  void on_handshake(error_code error);
  void be_ready();
  void pump_up();
  void pump_down();
  void on_received(size_t bytes);
  void on_client_closed();
  void on_lost(error_code error);

  // Calls `use` with the stream that leads to the broker.
  template <class Use>
  void with_upstream(Use use) {
    if (tls_) {
      use(*tls_);
    } else {
      use(tcp_);
    }
  }
  // A handler that keeps this alive and is not called once the relay has ended.
  template <class Handler>
  auto live(Handler handler) {
    return [ self = shared_from_this(), handler = std::move(handler) ](
        auto... args) mutable requires std::invocable<Handler&, decltype(args)...> {
      if (!self->ended_) handler(args...);
    };
  }

  asio::io_context& io_;
  Transport::Options options_;
  Transport::Events events_;
  bool ended_ = false;
  std::string step_;
  asio::steady_timer deadline_;
  std::optional<Lookup> lookup_;
  asio::posix::stream_descriptor lookup_ready_;
  std::vector<tcp::endpoint> endpoints_;
  size_t next_endpoint_ = 0;
  bool connecting_ = false;  // to the address before next_endpoint_
  std::string refusals_;     // what became of the addresses tried so far
  std::string socket_path_;
  stream_protocol::acceptor acceptor_;
  stream_protocol::socket client_;
  tcp::socket tcp_;
  std::optional<asio::ssl::context> tls_context_;
  std::optional<asio::ssl::stream<tcp::socket&>> tls_;
  std::string tls_refusal_;  // why the certificate did not do
  MqttGuard guard_;
  std::array<std::byte, kBufferSize> up_{}, down_{};
};

void Relay::start() {
  asio::post(io_, live([this] {
               listen();
               if (!ended_) resolve();
             }));
}

void Relay::abandon() {
  ended_ = true;
  close_all();
}

void Relay::close_all() {
  error_code ignored;
  deadline_.cancel(ignored);
  lookup_ready_.close(ignored);
  lookup_.reset();
  acceptor_.close(ignored);
  if (!socket_path_.empty()) ::unlink(std::exchange(socket_path_, {}).c_str());
  client_.close(ignored);
  tcp_.close(ignored);
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
    if (connecting_) {
      error_code ignored;
      tcp_.close(ignored);  // on_connected() sees it, and goes on with the next address
      return;
    }
    fail(step_ + ": no answer in " + in_words(options_.step_limit));
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

void Relay::resolve() {
  error_code not_numeric;
  const auto address = asio::ip::make_address(options_.host, not_numeric);
  if (!not_numeric) {
    endpoints_ = {{address, options_.port}};
    return connect_next();
  }
  begin_step("resolve " + options_.host);
  auto lookup = Lookup::start(options_.resolve, options_.host);
  if (!lookup) return fail(step_ + ": " + lookup.error().message);
  lookup_ = std::move(*lookup);
  // A duplicate, because Asio closes what it watches.
  const int fd = ::fcntl(lookup_->fd(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return fail(Error::from_errno(errno, step_).message);
  lookup_ready_.assign(fd);
  lookup_ready_.async_wait(asio::posix::descriptor_base::wait_read, live([this](error_code error) {
                             if (!error) on_resolved();
                           }));
}

void Relay::on_resolved() {
  auto addresses = lookup_->take();
  lookup_.reset();
  error_code ignored;
  lookup_ready_.close(ignored);
  if (!addresses) return fail(step_ + ": " + addresses.error().message);
  endpoints_ = endpoints_of(*addresses, options_.port);
  if (endpoints_.empty()) return fail(step_ + ": the name has no address");
  connect_next();
}

void Relay::connect_next() {
  const tcp::endpoint endpoint = endpoints_[next_endpoint_++];
  const std::string step = "connect " + text_of(endpoint);
  begin_step(step);
  connecting_ = true;
  error_code error;
  tcp_.open(endpoint.protocol(), error);
  // Set before the connection stands: it bounds the handshake's retries as well.
  if (!error) set_socket_options();
  if (error) {
    asio::post(io_, live([this, error, step] { on_connected(error, step); }));
    return;
  }
  tcp_.async_connect(endpoint, live([this, step](error_code e) { on_connected(e, step); }));
}

void Relay::on_connected(error_code error, const std::string& step) {
  connecting_ = false;
  if (!error) return options_.tls ? start_tls() : be_ready();
  error_code ignored;
  tcp_.close(ignored);
  const bool timed_out = error == asio::error::operation_aborted;
  refusals_ += (refusals_.empty() ? "" : "; ") + step + ": " +
               (timed_out ? "no answer in " + in_words(options_.step_limit) : error.message());
  if (next_endpoint_ < endpoints_.size()) return connect_next();
  fail(refusals_);
}

void Relay::set_socket_options() {
  error_code ignored;  // each of them only improves matters
  tcp_.set_option(tcp::no_delay(true), ignored);
  const auto limit = static_cast<unsigned>(options_.lost_after.count());
  (void)::setsockopt(tcp_.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
}

Result<> Relay::set_up_tls() {
  error_code error;
  tls_context_.emplace(asio::ssl::context::tls_client);
  if (SSL_CTX_set_min_proto_version(tls_context_->native_handle(), TLS1_2_VERSION) != 1) {
    return Error{Errc::Io, "TLS 1.2 is not available"};
  }
  if (options_.ca_file.empty()) {
    tls_context_->set_default_verify_paths(error);
    if (error) return Error{Errc::Io, "the system's certificates: " + error.message()};
  } else {
    const std::string pem = FP_TRY(read_file(options_.ca_file, kMaxCaFile).context("ca_file"));
    tls_context_->add_certificate_authority(asio::buffer(pem), error);
    if (error) {
      return Error{Errc::Invalid, "ca_file: '" + options_.ca_file + "' holds no certificates"};
    }
  }
  tls_.emplace(tcp_, *tls_context_);
  tls_->set_verify_mode(asio::ssl::verify_peer, error);
  if (error) return Error{Errc::Io, error.message()};
  tls_->set_verify_callback(
      [this](bool fine, asio::ssl::verify_context& context) {
        if (!fine) tls_refusal_ = words_of_refusal(context.native_handle(), options_.host);
        return fine;
      },
      error);
  if (error) return Error{Errc::Io, error.message()};
  return expect_host(tls_->native_handle(), options_.host);
}

void Relay::start_tls() {
  begin_step("TLS with " + options_.host);
  if (auto done = set_up_tls(); !done) return fail(step_ + ": " + done.error().message);
  tls_->async_handshake(asio::ssl::stream_base::client,
                        live([this](error_code error) { on_handshake(error); }));
}

void Relay::on_handshake(error_code error) {
  if (!error) return be_ready();
  const std::string words = error.message();
  if (!tls_refusal_.empty()) return fail(step_ + ": " + tls_refusal_);
  if (words.find("wrong version number") == std::string::npos) return fail(step_ + ": " + words);
  fail(step_ + ": the other side does not speak TLS");
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
                            with_upstream([&](auto& stream) {
                              asio::async_write(stream, asio::buffer(up_.data(), bytes),
                                                live([this](error_code e, size_t) {
                                                  if (!e) return pump_up();
                                                  // The reading side knows better why.
                                                  if (e != asio::error::broken_pipe) on_lost(e);
                                                }));
                            });
                          }));
}

// From the broker to libmosquitto.
void Relay::pump_down() {
  with_upstream([&](auto& stream) {
    stream.async_read_some(asio::buffer(down_), live([this](error_code error, size_t bytes) {
                             if (error) return on_lost(error);
                             on_received(bytes);
                           }));
  });
}

void Relay::on_received(size_t bytes) {
  if (auto fine = guard_.feed(std::span(down_).first(bytes)); !fine) {
    return fail(fine.error().message);
  }
  asio::async_write(client_, asio::buffer(down_.data(), bytes),
                    live([this](error_code error, size_t) {
                      if (!error) pump_down();
                      // Else libmosquitto has closed its side: pump_up() sees it as well.
                    }));
}

// All that the client wrote has been sent.
void Relay::on_client_closed() {
  error_code ignored;
  if (!tls_) {
    tcp_.shutdown(tcp::socket::shutdown_both, ignored);
    return fail("closed");
  }
  begin_step("close TLS");
  tls_->async_shutdown(live([this](error_code) { fail("closed"); }));
}

void Relay::on_lost(error_code error) {
  if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) {
    return fail(Transport::kClosed);
  }
  if (error == asio::error::connection_reset) return fail("the broker reset the connection");
  if (error == asio::error::timed_out) {
    return fail("the line is lost: nothing was acknowledged for " + in_words(options_.lost_after));
  }
  fail("the connection broke: " + error.message());
}

int64_t Relay::unsent_bytes() {
  int bytes = 0;
  if (!tcp_.is_open() || ::ioctl(tcp_.native_handle(), SIOCOUTQ, &bytes) != 0) return 0;
  return bytes;
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
