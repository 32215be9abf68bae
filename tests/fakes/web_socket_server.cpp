// SPDX-License-Identifier: Apache-2.0
#include "fakes/web_socket_server.hpp"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <stdexcept>

#include "fakes/loopback.hpp"

namespace fieldpost::test {
namespace {

// RFC 6455, 4.2.2.
std::string accept_key(const std::string& request) {
  const std::string name = "Sec-WebSocket-Key: ";
  const size_t at = request.find(name) + name.size();
  const std::string key =
      request.substr(at, request.find("\r\n", at) - at) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  std::array<unsigned char, 32> text{};
  const int n = EVP_EncodeBlock(text.data(), digest.data(), SHA_DIGEST_LENGTH);
  return {text.begin(), text.begin() + n};
}

std::string encode(const WebSocketServer::Frame& frame) {
  std::string bytes(1, static_cast<char>(frame.opcode | (frame.last ? 0x80 : 0)));
  const size_t n = frame.payload.size();
  if (n < 126) return bytes + static_cast<char>(n) + frame.payload;
  bytes += static_cast<char>(126);
  bytes += static_cast<char>(n >> 8);
  bytes += static_cast<char>(n & 0xFF);
  return bytes + frame.payload;
}

size_t byte_at(const std::string& s, size_t i) { return static_cast<unsigned char>(s.at(i)); }

}  // namespace

WebSocketServer::WebSocketServer(Behaviour behaviour)
    : stop_(::eventfd(0, EFD_CLOEXEC)), behaviour_(std::move(behaviour)) {
  listener_ = listen_at_loopback(false, port_);
  thread_ = std::thread([this] { run(); });
}

WebSocketServer::~WebSocketServer() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void WebSocketServer::set(Behaviour behaviour) {
  const std::scoped_lock lock(mutex_);
  behaviour_ = std::move(behaviour);
}
std::vector<std::string> WebSocketServer::requests() const {
  const std::scoped_lock lock(mutex_);
  return requests_;
}
std::vector<WebSocketServer::Frame> WebSocketServer::received() const {
  const std::scoped_lock lock(mutex_);
  return received_;
}
bool WebSocketServer::all_masked() const {
  const std::scoped_lock lock(mutex_);
  return all_masked_;
}

void WebSocketServer::run() {
  for (;;) {
    std::array<pollfd, 2> polls{pollfd{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                pollfd{.fd = listener_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(polls.data(), polls.size(), -1) < 0) continue;
    if (polls[0].revents != 0) return;
    const UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (fd) serve(fd.get());
  }
}

void WebSocketServer::serve(int fd) {
  std::string input;
  bool open = false, spoken = false;
  for (;;) {
    std::array<pollfd, 2> polls{pollfd{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                pollfd{.fd = fd, .events = POLLIN, .revents = 0}};
    if (::poll(polls.data(), polls.size(), -1) < 0) continue;
    if (polls[0].revents != 0) return;
    std::array<char, 65536> block{};
    const ssize_t n = ::recv(fd, block.data(), block.size(), 0);
    if (n <= 0) return;
    input.append(block.data(), static_cast<size_t>(n));
    if (!open && input.find("\r\n\r\n") == input.npos) continue;
    if (!open && !greet(fd, input)) return;
    open = true;
    if (!take_frames(input) || std::exchange(spoken, true)) continue;
    const std::scoped_lock lock(mutex_);
    for (const Frame& frame : behaviour_.frames) send_all(fd, encode(frame));
  }
}

// False: the connection is over.
bool WebSocketServer::greet(int fd, std::string& ret_rest) {
  const size_t end = ret_rest.find("\r\n\r\n") + 4;
  const std::scoped_lock lock(mutex_);
  requests_.push_back(ret_rest.substr(0, end));
  ret_rest.erase(0, end);
  if (!behaviour_.answer.empty()) {
    send_all(fd, behaviour_.answer);
    return false;
  }
  const std::string protocol =
      behaviour_.protocol.empty() ? "" : "Sec-WebSocket-Protocol: " + behaviour_.protocol + "\r\n";
  return send_all(
      fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
              protocol + "Sec-WebSocket-Accept: " + accept_key(requests_.back()) + "\r\n\r\n");
}

// Whether there was a whole one.
bool WebSocketServer::take_frames(std::string& input) {
  bool any = false;
  while (input.size() >= 2) {
    size_t length = byte_at(input, 1) & 0x7F;
    size_t at = 2;
    if (length == 126 && input.size() >= 4) length = byte_at(input, 2) << 8 | byte_at(input, 3);
    if ((byte_at(input, 1) & 0x7F) == 126) at = 4;  // frames of more than 64 KB: not here
    const bool masked = (byte_at(input, 1) & 0x80) != 0;
    const size_t mask = at;
    if (masked) at += 4;
    if (input.size() < at + length) return any;
    Frame frame{.opcode = static_cast<uint8_t>(byte_at(input, 0) & 0x0F),
                .payload = input.substr(at, length),
                .last = (byte_at(input, 0) & 0x80) != 0};
    for (size_t i = 0; masked && i < length; ++i) {
      frame.payload[i] = static_cast<char>(frame.payload[i] ^ input[mask + i % 4]);
    }
    input.erase(0, at + length);
    const std::scoped_lock lock(mutex_);
    all_masked_ = all_masked_ && masked;
    received_.push_back(std::move(frame));
    any = true;
  }
  return any;
}

}  // namespace fieldpost::test
