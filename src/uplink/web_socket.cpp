// SPDX-License-Identifier: Apache-2.0
//
// MQTT over WebSocket (MQTT 3.1.1, chapter 6): binary frames, cut anywhere. The only file that
// knows Beast, which takes long to compile.
#include <boost/asio/post.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <string_view>

#include "base/text.hpp"
#include "uplink/async_stream.hpp"
#include "uplink/stream.hpp"
#include "uplink/transport.hpp"

namespace fieldpost {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;

constexpr const char* kProtocol = "mqtt";
constexpr size_t kWriteBuffer = size_t{32} * 1024;  // a frame of the relay's at a time

// What Beast calls when it is done with the layer below. We close that ourselves; and it has no
// time limits of its own to enforce, the relay has them.
struct Below : AsyncStream {
  using AsyncStream::AsyncStream;

  template <class Handler>
  friend void async_teardown(beast::role_type, Below& below, Handler&& handler) {
    asio::post(below.get_executor(),
               beast::bind_front_handler(std::forward<Handler>(handler), error_code()));
  }
  friend void beast_close_socket(Below&) {}
};

class WebSocket : public Layer {
 public:
  WebSocket(std::unique_ptr<Stream> lower, std::string host, std::string path);

  void open(Done done) override;
  void read(asio::mutable_buffer into, Done done) override;
  void write(const Buffers& from, Done done) override {
    stream_.async_write(from, std::move(done));
  }
  void close(Done done) override;
  std::string why(error_code error) const override;

 private:
  std::string words_of_answer() const;
  std::string words_of_close() const;

  std::string host_, path_;
  websocket::stream<Below, false> stream_;  // false: without compression
  websocket::response_type answer_;
  std::string refusal_;
};

WebSocket::WebSocket(std::unique_ptr<Stream> lower, std::string host, std::string path)
    : Layer(std::move(lower)), host_(std::move(host)), path_(std::move(path)), stream_(below()) {
  stream_.binary(true);
  stream_.auto_fragment(false);
  stream_.write_buffer_bytes(kWriteBuffer);
  stream_.read_message_max(0);  // we read in parts, and mqtt_guard.hpp counts
  stream_.set_option(websocket::stream_base::decorator([](websocket::request_type& request) {
    request.set(beast::http::field::sec_websocket_protocol, kProtocol);
    request.set(beast::http::field::user_agent, "fieldpost");
  }));
}

void WebSocket::open(Done done) {
  stream_.async_handshake(
      answer_, host_, path_, [this, done = std::move(done)](error_code error) mutable {
        if (!error && answer_[beast::http::field::sec_websocket_protocol] != kProtocol) {
          refusal_ = "the other side takes a WebSocket, but not for MQTT (no subprotocol mqtt)";
          error = make_error_code(boost::system::errc::protocol_error);
        }
        done(error, 0);
      });
}

void WebSocket::read(asio::mutable_buffer into, Done done) {
  stream_.async_read_some(
      into, [this, into, done = std::move(done)](error_code error, size_t bytes) mutable {
        if (error) return done(error, bytes);
        if (stream_.got_text()) {
          refusal_ = "the broker sent text where MQTT over WebSocket has binary frames";
          return done(make_error_code(boost::system::errc::protocol_error), 0);
        }
        if (bytes == 0)
          return read(into, std::move(done));  // the end of a message, or an empty one
        done({}, bytes);
      });
}

void WebSocket::close(Done done) {
  stream_.async_close(websocket::close_code::normal,
                      [this, done = std::move(done)](error_code) mutable {
                        below().close(std::move(done));  // whatever was answered
                      });
}

std::string WebSocket::why(error_code error) const {
  if (!refusal_.empty()) return refusal_;
  if (error == websocket::error::upgrade_declined) return words_of_answer();
  if (error == websocket::error::closed) return words_of_close();
  // The end within a frame or an answer.
  if (error == beast::http::error::end_of_stream || error == beast::http::error::partial_message) {
    return Layer::why(asio::error::eof);
  }
  if (error == websocket::condition::handshake_failed ||
      error.category() == make_error_code(beast::http::error::bad_version).category()) {
    return "the other side does not speak WebSocket (" + error.message() + ")";
  }
  if (error == websocket::condition::protocol_violation) {
    return "the broker broke the rules of WebSocket (" + error.message() + ")";
  }
  return Layer::why(error);
}

std::string WebSocket::words_of_answer() const {
  const auto reason = answer_.reason();
  std::string words = "GET " + path_ + " is answered with " + std::to_string(answer_.result_int()) +
                      " " + printable({reason.data(), reason.size()}, 100);
  const auto location = answer_[beast::http::field::location];
  if (!location.empty()) words += ", go to " + printable({location.data(), location.size()}, 200);
  return words + "; is the path in uplink.url right?";
}

std::string WebSocket::words_of_close() const {
  const websocket::close_reason& given = stream_.reason();
  if (given.code == websocket::close_code::none || given.code == websocket::close_code::normal) {
    return Layer::why(asio::error::eof);
  }
  std::string words = Transport::kClosed + (" (WebSocket: " + std::to_string(given.code));
  if (!given.reason.empty()) {
    words += ", " + printable({given.reason.data(), given.reason.size()}, 123);
  }
  return words + ")";
}

}  // namespace

std::unique_ptr<Stream> web_socket(std::unique_ptr<Stream> below, std::string host,
                                   std::string path) {
  return std::make_unique<WebSocket>(std::move(below), std::move(host), std::move(path));
}

}  // namespace fieldpost
