// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

#include <optional>

#include "base/file.hpp"
#include "uplink/async_stream.hpp"
#include "uplink/stream.hpp"
#include "uplink/tls_words.hpp"

namespace fieldpost {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr size_t kMaxPem = size_t{4} << 20;

Result<> trust(asio::ssl::context& context, const std::string& ca_file) {
  error_code error;
  if (ca_file.empty()) {
    context.set_default_verify_paths(error);
    if (error) return Error{Errc::Io, "the system's certificates: " + error.message()};
    return {};
  }
  const std::string pem = FP_TRY(read_file(ca_file, kMaxPem).context("ca_file"));
  context.add_certificate_authority(asio::buffer(pem), error);
  if (error) return Error{Errc::Invalid, "ca_file: '" + ca_file + "' holds no certificates"};
  return {};
}

Result<> show_certificate(asio::ssl::context& context, const std::string& cert_file,
                          const std::string& key_file) {
  if (cert_file.empty()) return {};
  const std::string certificate = FP_TRY(read_file(cert_file, kMaxPem).context("cert_file"));
  const std::string key = FP_TRY(read_file(key_file, kMaxPem).context("key_file"));
  error_code error;
  context.use_certificate_chain(asio::buffer(certificate), error);
  if (error) return Error{Errc::Invalid, "cert_file: '" + cert_file + "' holds no certificate"};
  // Without it OpenSSL asks at the terminal.
  context.set_password_callback([](size_t, auto) { return std::string(); }, error);
  if (!error) context.use_private_key(asio::buffer(key), asio::ssl::context::pem, error);
  if (error) {
    return Error{Errc::Invalid, "key_file: '" + key_file +
                                    "' holds no private key that goes with cert_file and is not "
                                    "encrypted"};
  }
  return {};
}

class TlsStream : public Layer {
 public:
  TlsStream(std::unique_ptr<Stream> lower, std::string host)
      : Layer(std::move(lower)), host_(std::move(host)) {}
  Result<> set_up(const TlsOptions& options);

  void open(Done done) override;
  void read(asio::mutable_buffer into, Done done) override {
    stream_->async_read_some(into, std::move(done));
  }
  void write(const Buffers& from, Done done) override {
    asio::async_write(*stream_, from, std::move(done));
  }
  void close(Done done) override;
  std::string why(error_code error) const override;

 private:
  std::string host_;
  asio::ssl::context context_{asio::ssl::context::tls_client};
  std::optional<asio::ssl::stream<AsyncStream>> stream_;
  std::string refusal_;  // why the other side's certificate did not do
};

Result<> TlsStream::set_up(const TlsOptions& options) {
  if (SSL_CTX_set_min_proto_version(context_.native_handle(), TLS1_2_VERSION) != 1) {
    return Error{Errc::Io, "TLS 1.2 is not available"};
  }
  FP_CHECK_OK(trust(context_, options.ca_file));
  FP_CHECK_OK(show_certificate(context_, options.cert_file, options.key_file));
  stream_.emplace(AsyncStream(below()), context_);
  error_code error;
  stream_->set_verify_mode(asio::ssl::verify_peer, error);
  if (error) return Error{Errc::Io, error.message()};
  stream_->set_verify_callback(
      [this](bool fine, asio::ssl::verify_context& context) {
        if (!fine) refusal_ = words_of_refusal(context.native_handle(), host_);
        return fine;
      },
      error);
  if (error) return Error{Errc::Io, error.message()};
  return expect_host(stream_->native_handle(), host_);
}

void TlsStream::open(Done done) {
  stream_->async_handshake(asio::ssl::stream_base::client,
                           [done = std::move(done)](error_code error) mutable { done(error, 0); });
}

void TlsStream::close(Done done) {
  stream_->async_shutdown([this, done = std::move(done)](error_code) mutable {
    below().close(std::move(done));  // whatever the other side made of our goodbye
  });
}

std::string TlsStream::why(error_code error) const {
  if (!refusal_.empty()) return refusal_;
  if (error == asio::ssl::error::stream_truncated) return Layer::why(asio::error::eof);
  if (error.category() == asio::error::get_ssl_category()) return words_of_tls_error(error.value());
  return Layer::why(error);
}

}  // namespace

Result<std::unique_ptr<Stream>> tls_stream(std::unique_ptr<Stream> below,
                                           const TlsOptions& options) {
  auto stream = std::make_unique<TlsStream>(std::move(below), options.host);
  FP_CHECK_OK(stream->set_up(options));
  return stream;
}

}  // namespace fieldpost
