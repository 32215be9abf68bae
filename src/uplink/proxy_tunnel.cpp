// SPDX-License-Identifier: Apache-2.0
//
// HTTP CONNECT (RFC 9110, 9.3.6).
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/text.hpp"
#include "uplink/stream.hpp"

namespace fieldpost {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr size_t kMaxAnswer = 8192;  // what a proxy may say before it lets us through
constexpr std::string_view kEnd = "\r\n\r\n";

std::string base64(const std::string& text) {
  std::string coded(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(coded.data()),
                                reinterpret_cast<const unsigned char*>(text.data()),
                                static_cast<int>(text.size()));
  coded.resize(static_cast<size_t>(n));
  return coded;
}

// Of "HTTP/1.1 200 OK"; 0: that is not HTTP.
int status_of(std::string_view answer) {
  int status = 0;
  if (!answer.starts_with("HTTP/1.") || answer.size() < 12) return 0;
  const auto [end, error] = std::from_chars(answer.data() + 9, answer.data() + 12, status);
  return error == std::errc{} && end == answer.data() + 12 ? status : 0;
}

class ProxyTunnel : public Layer {
 public:
  ProxyTunnel(std::unique_ptr<Stream> below, std::string target, const std::string& login);

  void open(Done done) override;
  void read(asio::mutable_buffer into, Done done) override { below().read(into, std::move(done)); }
  void write(const Buffers& from, Done done) override { below().write(from, std::move(done)); }
  void close(Done done) override { below().close(std::move(done)); }
  std::string why(error_code error) const override;

 private:
  void read_answer(Done done);
  void judge(size_t length);

  std::string target_;
  bool has_login_;
  std::string request_;
  std::string answer_;
  size_t received_ = 0;  // bytes of answer_
  bool open_ = false;
  std::string refusal_;
};

ProxyTunnel::ProxyTunnel(std::unique_ptr<Stream> below, std::string target,
                         const std::string& login)
    : Layer(std::move(below)),
      target_(std::move(target)),
      has_login_(!login.empty()),
      request_("CONNECT " + target_ + " HTTP/1.1\r\nHost: " + target_ + "\r\n" +
               (has_login_ ? "Proxy-Authorization: Basic " + base64(login) + "\r\n" : "") + "\r\n"),
      answer_(kMaxAnswer, '\0') {}

void ProxyTunnel::open(Done done) {
  below().write({asio::buffer(request_)},
                [this, done = std::move(done)](error_code error, size_t) mutable {
                  if (error) return done(error, 0);
                  read_answer(std::move(done));
                });
}

void ProxyTunnel::read_answer(Done done) {
  below().read(asio::buffer(answer_) + received_, [this, done = std::move(done)](
                                                      error_code error, size_t bytes) mutable {
    if (error) return done(error, 0);
    received_ += bytes;
    const auto answer = std::string_view(answer_).substr(0, received_);
    const size_t end = answer.find(kEnd);
    if (end == answer.npos && received_ < answer_.size()) return read_answer(std::move(done));
    judge(end);
    open_ = refusal_.empty();
    done(open_ ? error_code() : make_error_code(boost::system::errc::permission_denied), 0);
  });
}

// `length`: up to the empty line that ends the answer.
void ProxyTunnel::judge(size_t length) {
  const auto answer = std::string_view(answer_).substr(0, received_);
  const int status = status_of(answer);
  const std::string line = printable(answer.substr(0, answer.find_first_of("\r\n")), 100);
  if (status == 0 || length == answer.npos) {
    refusal_ = "that is no HTTP proxy: it answers \"" + line + "\"";
  } else if (status == 407) {
    refusal_ = has_login_ ? "the proxy does not accept our user and password"
                          : "the proxy wants a user and a password (uplink.proxy_login_file)";
    refusal_ += " (" + line + ")";
  } else if (status < 200 || status > 299) {
    refusal_ = "the proxy does not connect us to " + target_ + " (" + line + ")";
  } else if (received_ > length + kEnd.size()) {
    // A broker speaks when it has been spoken to.
    refusal_ = "the proxy sends more than an answer";
  }
}

std::string ProxyTunnel::why(error_code error) const {
  if (!refusal_.empty()) return refusal_;
  if (!open_ && error == asio::error::eof) return "the proxy closed the connection";
  return Layer::why(error);
}

}  // namespace

std::unique_ptr<Stream> proxy_tunnel(std::unique_ptr<Stream> below, std::string target,
                                     const std::string& login) {
  return std::make_unique<ProxyTunnel>(std::move(below), std::move(target), login);
}

}  // namespace fieldpost
