// SPDX-License-Identifier: Apache-2.0
//
// The way to the broker is a pile of streams: TCP, a proxy's tunnel, TLS, a WebSocket, as many of
// them as the configuration asks for. Each is set up when those below it stand, and knows in words
// what it saw. On the uplink's loop only.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>  // before Asio: 1.74 uses std::exchange without it

#include "base/result.hpp"

namespace fieldpost {

class Stream {
 public:
  using Executor = boost::asio::io_context::executor_type;
  // Called from the loop, never from within the call that it answers. What it captures must keep
  // the stream alive until then, abandoned or not.
  using Done = std::move_only_function<void(boost::system::error_code, size_t bytes)>;
  // The bytes of all, in this order; buffers that are not needed are empty.
  using Buffers = std::array<boost::asio::const_buffer, 4>;

  virtual ~Stream() = default;

  // Agrees with the other side on this layer. First, once.
  virtual void open(Done done) = 0;
  // At least one byte. One read and one write may be under way at a time.
  virtual void read(boost::asio::mutable_buffer into, Done done) = 0;
  virtual void write(const Buffers& from, Done done) = 0;  // all of it
  // Tells the other side that this is the end, in every layer. Not while a write is under way.
  virtual void close(Done done) = 0;
  // At once: what is under way ends with an error.
  virtual void abandon() = 0;

  // What an error of this stream means to a person.
  virtual std::string why(boost::system::error_code error) const = 0;
  // Bytes that the other machine has not acknowledged yet.
  virtual int64_t unsent_bytes() const = 0;
  virtual Executor executor() = 0;
};

// A stream on top of another, which it owns.
class Layer : public Stream {
 public:
  explicit Layer(std::unique_ptr<Stream> below) : below_(std::move(below)) {}
  void abandon() override { below_->abandon(); }
  std::string why(boost::system::error_code error) const override { return below_->why(error); }
  int64_t unsent_bytes() const override { return below_->unsent_bytes(); }
  Executor executor() override { return below_->executor(); }

 protected:
  Stream& below() const { return *below_; }

 private:
  std::unique_ptr<Stream> below_;
};

// A connection that stands; open() has nothing to do. `lost_after`: when nothing of what we sent
// was acknowledged for so long, the line is lost.
std::unique_ptr<Stream> tcp_stream(boost::asio::ip::tcp::socket socket,
                                   std::chrono::milliseconds lost_after);

// Asks the HTTP proxy at the other end for a connection to `target`, "broker.example:8883".
// `login` is "USER:PASSWORD"; empty: none.
std::unique_ptr<Stream> proxy_tunnel(std::unique_ptr<Stream> below, std::string target,
                                     const std::string& login);

struct TlsOptions {
  std::string host;                 // the certificate must be for it
  std::string ca_file;              // empty: the system's trust store
  std::string cert_file, key_file;  // our own; empty: none
};
// TLS, from 1.2 on. Errors: those of the files, in words. `below` is gone then.
Result<std::unique_ptr<Stream>> tls_stream(std::unique_ptr<Stream> below,
                                           const TlsOptions& options);

// A WebSocket for MQTT. `host` as in a URL, with the port unless it is the usual one; `path` begins
// with '/'.
std::unique_ptr<Stream> web_socket(std::unique_ptr<Stream> below, std::string host,
                                   std::string path);

}  // namespace fieldpost
