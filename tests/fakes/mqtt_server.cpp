// SPDX-License-Identifier: Apache-2.0
#include "fakes/mqtt_server.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>

#include "fakes/loopback.hpp"

namespace fieldpost::test {
namespace {

unsigned byte_at(const std::string& s, size_t i) { return static_cast<unsigned char>(s.at(i)); }

// Header, length and body, if `input` holds all of a packet.
std::optional<std::pair<uint8_t, std::string>> take_packet(std::string& input) {
  size_t length = 0;
  for (size_t i = 1; i < input.size() && i <= 4; ++i) {
    const unsigned byte = byte_at(input, i);
    length |= size_t{byte & 0x7F} << (7 * (i - 1));
    if ((byte & 0x80) != 0) continue;
    if (input.size() < i + 1 + length) return std::nullopt;
    std::pair<uint8_t, std::string> packet(static_cast<uint8_t>(input[0]),
                                           input.substr(i + 1, length));
    input.erase(0, i + 1 + length);
    return packet;
  }
  return std::nullopt;
}

// One connection is served at a time: a client that could not say goodbye, because its link was
// pulled, must not keep out the next.
void find_out_who_is_gone(int fd) {
  const int on = 1, seconds = 1, probes = 3;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

}  // namespace

MqttServer::MqttServer(Behaviour behaviour)
    : stop_(::eventfd(0, EFD_CLOEXEC)), behaviour_(std::move(behaviour)) {
  listener_ = listen_at_loopback(false, port_);
  thread_ = std::thread([this] { run(); });
}

MqttServer::~MqttServer() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void MqttServer::set(Behaviour behaviour) {
  const std::scoped_lock lock(mutex_);
  behaviour_ = std::move(behaviour);
}
MqttServer::Behaviour MqttServer::behaviour() const {
  const std::scoped_lock lock(mutex_);
  return behaviour_;
}
std::vector<Message> MqttServer::published() const {
  const std::scoped_lock lock(mutex_);
  return published_;
}
std::vector<int> MqttServer::subscribe_qos() const {
  const std::scoped_lock lock(mutex_);
  return subscribe_qos_;
}

void MqttServer::run() {
  for (;;) {
    std::array<pollfd, 2> polls{pollfd{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                pollfd{.fd = listener_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(polls.data(), polls.size(), -1) < 0) continue;
    if (polls[0].revents != 0) return;
    const UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    find_out_who_is_gone(fd.get());
    ++connections_;
    held_.clear();
    serve(fd.get());
    ++closed_;
  }
}

void MqttServer::serve(int fd) {
  std::string input;
  for (;;) {
    std::array<pollfd, 2> polls{pollfd{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                pollfd{.fd = fd, .events = POLLIN, .revents = 0}};
    if (::poll(polls.data(), polls.size(), -1) < 0) continue;
    if (polls[0].revents != 0) return;
    std::array<char, 65536> block{};
    const ssize_t n = ::recv(fd, block.data(), block.size(), 0);
    if (n <= 0) return;
    input.append(block.data(), static_cast<size_t>(n));
    while (auto packet = take_packet(input)) {
      if (!on_packet(fd, packet->first, packet->second)) return;
    }
  }
}

// False: the connection is over.
bool MqttServer::on_packet(int fd, uint8_t header, const std::string& body) {
  const Behaviour now = behaviour();
  if (!now.connack) return true;  // deaf: it may not even be MQTT
  switch (header >> 4) {
    case 1:
      send_all(fd, std::string{'\x20', '\x02', '\x00', static_cast<char>(*now.connack)});
      send_all(fd, now.after_connack);
      return !now.close_after_connack;
    case 3:
      return on_publish(fd, header, body);
    case 8:
      on_subscribe(fd, body);
      return true;
    case 12:
      return send_all(fd, std::string{'\xD0', '\x00'});
    case 14:
      return false;
    default:
      return true;
  }
}

bool MqttServer::on_publish(int fd, uint8_t header, const std::string& body) {
  const Behaviour now = behaviour();
  if (now.reset_on_publish) {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    return false;
  }
  const size_t topic = byte_at(body, 0) << 8 | byte_at(body, 1);
  const bool has_id = (header & 6) != 0;
  if (!now.forbidden.empty() && body.substr(2, topic) == now.forbidden) {
    release_held(fd);
    return false;
  }
  {
    const std::scoped_lock lock(mutex_);
    published_.push_back({body.substr(2, topic), body.substr(2 + topic + (has_id ? 2 : 0))});
  }
  if (!has_id || now.puback == Puback::Never) return true;
  held_.push_back(std::string{'\x40', '\x02'} + body.substr(2 + topic, 2));
  if (now.puback == Puback::Reversed && held_.size() < now.reverse) return true;
  release_held(fd);
  return true;
}

void MqttServer::release_held(int fd) {
  std::string acks;
  for (auto ack = held_.rbegin(); ack != held_.rend(); ++ack) acks += *ack;
  held_.clear();
  send_all(fd, acks);
}

void MqttServer::on_subscribe(int fd, const std::string& body) {
  const std::optional<uint8_t> grant = behaviour().grant;
  std::string answer = body.substr(0, 2);
  for (size_t at = 2; at + 2 < body.size();) {
    at += 2 + (byte_at(body, at) << 8 | byte_at(body, at + 1));
    const int qos = static_cast<int>(byte_at(body, at++));
    const std::scoped_lock lock(mutex_);
    subscribe_qos_.push_back(qos);
    answer += static_cast<char>(qos == 0 ? 0 : grant.value_or(0));
  }
  if (grant) send_all(fd, std::string{'\x90', static_cast<char>(answer.size())} + answer);
}

}  // namespace fieldpost::test
