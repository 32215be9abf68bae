// SPDX-License-Identifier: Apache-2.0
#include "tcp_read.hpp"

#include <modbus/modbus.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

namespace fieldpost::modbus {
namespace {

using Clock = std::chrono::steady_clock;

// Modbus Messaging on TCP/IP V1.0b, 3.1.3: id, protocol and length, two bytes each, then the unit;
// and what begins each answer: function, and number of bytes or exception.
constexpr size_t kLengthEnd = 6, kUnit = 6, kFunction = 7, kSecond = 8, kData = 9;
constexpr size_t kMost = 260;
constexpr uint8_t kIsException = 0x80;

using Frame = std::array<uint8_t, kMost>;

void put(uint8_t* at, unsigned word) {
  at[0] = static_cast<uint8_t>(word >> 8);
  at[1] = static_cast<uint8_t>(word);
}
unsigned get(const uint8_t* at) { return static_cast<unsigned>(at[0] << 8 | at[1]); }

uint8_t function_of(Table table) {
  switch (table) {
    case Table::Coil:
      return MODBUS_FC_READ_COILS;
    case Table::Discrete:
      return MODBUS_FC_READ_DISCRETE_INPUTS;
    case Table::Input:
      return MODBUS_FC_READ_INPUT_REGISTERS;
    case Table::Holding:
      break;
  }
  return MODBUS_FC_READ_HOLDING_REGISTERS;
}

size_t bytes_of(const Extent& what) {
  return is_bits(what.table) ? (what.count + size_t{7}) / 8 : size_t{2} * what.count;
}

int fail(int error) {
  errno = error;
  return -1;
}

bool send_request(int fd, uint16_t id, int unit, const Extent& what) {
  std::array<uint8_t, 12> request{};
  put(&request[0], id);
  put(&request[4], request.size() - kLengthEnd);
  request[kUnit] = static_cast<uint8_t>(unit);
  request[kFunction] = function_of(what.table);
  put(&request[8], what.address);
  put(&request[10], what.count);
  const ssize_t n = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  if (n >= 0 && static_cast<size_t>(n) < request.size()) errno = EAGAIN;
  return n == static_cast<ssize_t>(request.size());
}

// Readable before the deadline, or errno.
bool wait_for_more(int fd, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::max<std::chrono::nanoseconds>(deadline - Clock::now(), {});
    const auto whole = std::chrono::floor<std::chrono::seconds>(left);
    const timespec timeout{.tv_sec = whole.count(), .tv_nsec = (left - whole).count()};
    pollfd p{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = ::ppoll(&p, 1, &timeout, nullptr);
    if (ready > 0) return true;
    if (ready == 0) errno = ETIMEDOUT;
    if (ready == 0 || errno != EINTR) return false;
  }
}

// The end of the frame that `answer` begins with, as far as that is known.
size_t end_of(const Frame& answer, size_t have, size_t expected) {
  return have < kLengthEnd ? expected : kLengthEnd + get(&answer[4]);
}

// A frame of up to `expected` bytes, and no byte of what follows an answer as it should be. Returns
// its length, or 0 with errno.
size_t receive_answer(int fd, size_t expected, Clock::time_point deadline, Frame& ret) {
  size_t have = 0;
  while (have < end_of(ret, have, expected)) {
    errno = EMBBADDATA;
    if (have == expected || !wait_for_more(fd, deadline)) return 0;
    const ssize_t n = ::recv(fd, &ret[have], expected - have, 0);
    if (n == 0) errno = ECONNRESET;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return 0;
    have += static_cast<size_t>(std::max<ssize_t>(n, 0));
  }
  const size_t end = end_of(ret, have, expected);
  // Bytes of another one are taken away from it, so that the next request needs a new connection.
  if (have > end) ::shutdown(fd, SHUT_RDWR);
  return end;
}

void take_words(const Frame& answer, const Extent& what, std::span<uint16_t> ret) {
  for (size_t i = 0; i < what.count; ++i) {
    ret[i] = static_cast<uint16_t>(is_bits(what.table) ? answer[kData + i / 8] >> i % 8 & 1
                                                       : get(&answer[kData + 2 * i]));
  }
}

}  // namespace

int read_over_tcp(int fd, uint16_t id, int unit, const Extent& what,
                  std::chrono::nanoseconds timeout, std::span<uint16_t> ret_words) {
  const auto deadline = Clock::now() + timeout;
  if (!send_request(fd, id, unit, what)) return -1;
  const size_t bytes = bytes_of(what);
  Frame answer{};
  const size_t size = receive_answer(fd, kData + bytes, deadline, answer);
  if (size == 0) return -1;
  const uint8_t function = function_of(what.table);
  // As libmodbus, which does not look at the unit: gateways have been seen to answer with another.
  const bool is_ours = size >= kData && get(&answer[0]) == id && get(&answer[2]) == 0;
  if (!is_ours) return fail(EMBBADDATA);
  if (answer[kFunction] == (function | kIsException)) {
    const int exception = answer[kSecond];
    return fail(exception < MODBUS_EXCEPTION_MAX ? MODBUS_ENOBASE + exception : EMBBADEXC);
  }
  if (answer[kFunction] != function || answer[kSecond] != bytes || size != kData + bytes) {
    return fail(EMBBADDATA);
  }
  take_words(answer, what, ret_words);
  return what.count;
}

}  // namespace fieldpost::modbus
