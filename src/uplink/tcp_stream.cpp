// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include "base/text.hpp"
#include "uplink/stream.hpp"
#include "uplink/transport.hpp"

namespace fieldpost {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

class TcpStream : public Stream {
 public:
  TcpStream(tcp::socket socket, std::chrono::milliseconds lost_after);

  void open(Done done) override { soon(std::move(done)); }
  void read(asio::mutable_buffer into, Done done) override {
    socket_.async_read_some(into, std::move(done));
  }
  void write(const Buffers& from, Done done) override {
    asio::async_write(socket_, from, std::move(done));
  }
  void close(Done done) override;
  void abandon() override;
  std::string why(error_code error) const override;
  int64_t unsent_bytes() const override;
  Executor executor() override { return io_.get_executor(); }

 private:
  void soon(Done done);

  asio::io_context& io_;
  mutable tcp::socket socket_;
  std::chrono::milliseconds lost_after_;
};

TcpStream::TcpStream(tcp::socket socket, std::chrono::milliseconds lost_after)
    : io_(static_cast<asio::io_context&>(socket.get_executor().context())),
      socket_(std::move(socket)),
      lost_after_(lost_after) {
  error_code ignored;  // each of them only improves matters
  socket_.set_option(tcp::no_delay(true), ignored);
  const auto limit = static_cast<unsigned>(lost_after.count());
  (void)::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
}

void TcpStream::soon(Done done) {
  asio::post(io_, [done = std::move(done)]() mutable { done({}, 0); });
}

void TcpStream::close(Done done) {
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  soon(std::move(done));
}

void TcpStream::abandon() {
  error_code ignored;
  socket_.close(ignored);
}

std::string TcpStream::why(error_code error) const {
  if (error == asio::error::eof) return Transport::kClosed;
  if (error == asio::error::connection_reset) return "the broker reset the connection";
  // The kernel's reason after TCP_USER_TIMEOUT: none, or what it heard last from a router.
  if (error == asio::error::timed_out || error == asio::error::host_unreachable ||
      error == asio::error::network_unreachable) {
    return "the line is lost: nothing was acknowledged for " + about(lost_after_);
  }
  return "the connection broke: " + error.message();
}

int64_t TcpStream::unsent_bytes() const {
  int bytes = 0;
  if (!socket_.is_open() || ::ioctl(socket_.native_handle(), SIOCOUTQ, &bytes) != 0) return 0;
  return bytes;
}

}  // namespace

std::unique_ptr<Stream> tcp_stream(tcp::socket socket, std::chrono::milliseconds lost_after) {
  return std::make_unique<TcpStream>(std::move(socket), lost_after);
}

}  // namespace fieldpost
