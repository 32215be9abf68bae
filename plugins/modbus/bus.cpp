// SPDX-License-Identifier: Apache-2.0
#include "bus.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

#include "../common/access.hpp"

namespace fieldpost::modbus {
namespace {

using sdk::IoError;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// USB adapters hold bytes back for so long (FTDI's default is 16 ms).
constexpr milliseconds kAdapterLatency{20};

// A TCP connection that has just answered is not asked whether it is still there, unless the
// request cannot be repeated: the requests of one poll follow each other at once.
constexpr milliseconds kInUse{20};

// Of a converter: so many requests without any answer, and the connection is made anew. It may be
// a connection that the converter has forgotten, or a unit that is off, which must not cost the
// others a connection with each request.
constexpr int kSilencesOfConnection = 3;

std::string text_of(int error) {
  return error >= MODBUS_ENOBASE ? modbus_strerror(error)
                                 : std::error_code(error, std::generic_category()).message();
}

int poll_ms(nanoseconds left) {
  return static_cast<int>(std::max<int64_t>(
      0, duration_cast<milliseconds>(left + milliseconds(1) - nanoseconds(1)).count()));
}

// A connected socket, or -1 with errno.
int connect_to(const addrinfo& to, nanoseconds timeout) {
  const int fd = socket(to.ai_family, to.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  int error = 0;
  if (connect(fd, to.ai_addr, to.ai_addrlen) < 0) {
    error = errno;
    if (error == EINPROGRESS) {
      pollfd p{fd, POLLOUT, 0};
      socklen_t size = sizeof error;
      const int ready = poll(&p, 1, poll_ms(timeout));
      if (ready == 1) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (ready != 1) error = ready == 0 ? ETIMEDOUT : errno;
    }
  }
  if (error == 0) return fd;
  ::close(fd);
  errno = error;
  return -1;
}

bool is_exception(int error) { return error > MODBUS_ENOBASE && error < EMBBADCRC; }

// The line is gone, rather than the unit silent.
bool is_dead_line(int error) {
  switch (error) {
    case ECONNRESET:
    case EPIPE:
    case EIO:
    case EBADF:
    case ENXIO:
    case ENODEV:
    case ENOTCONN:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

void wait(nanoseconds time) {
  if (time > nanoseconds(0)) std::this_thread::sleep_for(time);
}

}  // namespace

void Bus::Closer::operator()(modbus_t* ctx) const {
  // The terminal stays exclusive after its last close if somebody else has it open.
  if (const int fd = modbus_get_socket(ctx); fd >= 0) ioctl(fd, TIOCNXCL);
  modbus_close(ctx);
  modbus_free(ctx);
}

Bus::Bus(Endpoint endpoint, nanoseconds connect_timeout, nanoseconds pause)
    : endpoint_(std::move(endpoint)), connect_timeout_(connect_timeout), pause_(pause) {
  // libmodbus writes RTU frames as to a terminal, where there is no SIGPIPE. This process is ours.
  if (endpoint_.line == Line::RtuOverTcp) (void)std::signal(SIGPIPE, SIG_IGN);
}

void Bus::fail(const std::string& why) {
  close();
  throw IoError(endpoint_.name() + ": " + why);
}

void Bus::connect(bool repeatable) {
  const bool in_use = repeatable && Clock::now() - quiet_since_ < kInUse;
  if (line_ && endpoint_.line != Line::Serial && !in_use && stale()) close();
  if (line_) return;
  switch (endpoint_.line) {
    case Line::Tcp:
      connect_tcp();
      break;
    case Line::RtuOverTcp:
      connect_converter();
      break;
    case Line::Serial:
      connect_serial();
      break;
  }
  // Own recovery; and the whole answer within the time-out, however its bytes are spread.
  modbus_set_error_recovery(line_.get(), MODBUS_ERROR_RECOVERY_NONE);
  modbus_set_byte_timeout(line_.get(), 0, 0);
  fresh_ = true;
  silences_ = 0;
}

// libmodbus can connect too, but reports every name that cannot be resolved as "Connection
// refused", and needs the response time-out for it.
int Bus::open_socket() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const std::string port = std::to_string(endpoint_.port);
  if (const int rc = getaddrinfo(endpoint_.host.c_str(), port.c_str(), &hints, &list); rc != 0) {
    fail(rc == EAI_SYSTEM ? text_of(errno) : gai_strerror(rc));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, freeaddrinfo);
  const auto deadline = Clock::now() + connect_timeout_;
  int fd = -1;
  int error = 0;
  for (const addrinfo* to = list; to != nullptr && fd < 0; to = to->ai_next) {
    fd = connect_to(*to, deadline - Clock::now());
    if (fd < 0) error = errno;
  }
  if (fd < 0) fail(text_of(error));
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  return fd;
}

void Bus::connect_tcp() {
  const std::string port = std::to_string(endpoint_.port);
  line_.reset(modbus_new_tcp_pi(endpoint_.host.c_str(), port.c_str()));
  if (!line_) fail(text_of(errno));
  modbus_set_socket(line_.get(), open_socket());
}

// What libmodbus does with a serial line, beyond opening it, it can do with a socket as well. What
// is late may come on the new connection, so that late_until_ stays.
void Bus::connect_converter() {
  line_.reset(modbus_new_rtu(endpoint_.name().c_str(), endpoint_.baud, endpoint_.parity, 8,
                             endpoint_.stop));
  if (!line_) fail(text_of(errno));
  modbus_set_socket(line_.get(), open_socket());
  quiet_since_ = Clock::now();
}

void Bus::connect_serial() {
  line_.reset(modbus_new_rtu(endpoint_.device.c_str(), endpoint_.baud, endpoint_.parity, 8,
                             endpoint_.stop));
  if (!line_) fail(text_of(errno));
  if (modbus_connect(line_.get()) < 0) {
    const int error = errno;
    if (error == EACCES || error == EPERM) {
      close();
      throw IoError(plugin_common::no_permission(endpoint_.device, "dialout", "tty"));
    }
    if (error == EBUSY) fail("in use by another program");
    if (error == ENOENT) fail("there is no such device file: is the adapter plugged in?");
    fail(text_of(error));
  }
  const int fd = modbus_get_socket(line_.get());
  // Two masters on one line destroy each other's telegrams. The lock is for programs that look
  // for it, TIOCEXCL for those that do not.
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) fail("in use by another program");
  ioctl(fd, TIOCEXCL);
  tcflush(fd, TCIOFLUSH);
  quiet_since_ = Clock::now();
  late_until_.fill({});
}

// The other side has hung up; or, where that says something, something came that nobody asked for.
bool Bus::stale() const {
  const short unwanted = endpoint_.line == Line::Tcp ? POLLIN : 0;
  pollfd p{modbus_get_socket(line_.get()), static_cast<short>(unwanted | POLLRDHUP), 0};
  return poll(&p, 1, 0) != 0;
}

nanoseconds Bus::on_the_line(int bytes) const {
  if (!endpoint_.is_rtu()) return nanoseconds(0);
  return nanoseconds(int64_t{1'000'000'000} * bytes * endpoint_.bits_per_byte() / endpoint_.baud);
}

void Bus::settle(int unit) {
  nanoseconds gap = pause_;
  if (endpoint_.is_rtu()) {
    // Serial line specification V1.02, 2.5.1.1: frames are at least 3.5 characters apart, 1.75 ms
    // above 19,200 baud.
    gap = std::max(gap, endpoint_.baud > 19200 ? nanoseconds(1'750'000) : on_the_line(7) / 2);
    // Its late answer looks like that to the next request: wait until it came or cannot any more.
    const auto late_until = std::exchange(late_until_.at(static_cast<size_t>(unit)), {});
    if (late_until > Clock::now()) {
      pollfd p{modbus_get_socket(line_.get()), POLLIN, 0};
      poll(&p, 1, poll_ms(late_until - Clock::now()));
    }
    drop_what_comes(gap);
  }
  wait(quiet_since_ + gap - Clock::now());
}

// Whatever is still coming in is nobody's.
void Bus::drop_what_comes(nanoseconds gap) {
  const int fd = modbus_get_socket(line_.get());
  const auto give_up = Clock::now() + on_the_line(300) + kAdapterLatency;
  for (int pending = 0;
       ioctl(fd, FIONREAD, &pending) == 0 && pending > 0 && Clock::now() < give_up;) {
    if (::read(fd, flags_.data(), flags_.size()) <= 0) return;
    wait(gap + kAdapterLatency);
    quiet_since_ = Clock::now();
  }
}

void Bus::after_answer() {
  quiet_since_ = Clock::now();
  silences_ = 0;
}

void Bus::after_silence(int unit, nanoseconds timeout) {
  quiet_since_ = Clock::now();
  if (!endpoint_.is_rtu()) return close();
  late_until_.at(static_cast<size_t>(unit)) = quiet_since_ + timeout;
  if (endpoint_.line == Line::RtuOverTcp && ++silences_ >= kSilencesOfConnection) close();
}

std::string Bus::text_of_dead(int error) const {
  if (endpoint_.line == Line::Serial) return "the adapter is gone (" + text_of(error) + ")";
  return error == ECONNRESET ? "the connection was closed by the other side" : text_of(error);
}

template <class F>
Answer Bus::transact(int unit, nanoseconds timeout, int line_bytes, bool repeatable, F&& request) {
  connect(repeatable);
  settle(unit);
  const bool first = std::exchange(fresh_, false);
  modbus_set_slave(line_.get(), unit);
  const auto limit = duration_cast<microseconds>(timeout + on_the_line(line_bytes)).count();
  modbus_set_response_timeout(line_.get(), static_cast<uint32_t>(limit / 1'000'000),
                              static_cast<uint32_t>(limit % 1'000'000));
  Answer answer;
  errno = 0;
  if (request(line_.get(), answer) >= 0) {
    after_answer();
    return answer;
  }
  const int error = errno;
  if (is_exception(error)) {
    after_answer();
    return {static_cast<uint8_t>(error - MODBUS_ENOBASE)};
  }
  if (is_dead_line(error)) {
    close();
    // The other side may have hung up while nothing was going on: ask once more, afresh.
    if (!first && repeatable) {
      return transact(unit, timeout, line_bytes, false, std::forward<F>(request));
    }
    throw LineLost(endpoint_.name() + ": " + text_of_dead(error));
  }
  after_silence(unit, timeout);
  // Noise, or the late answer of another unit: once more.
  if (error != ETIMEDOUT && repeatable) {
    return transact(unit, timeout, line_bytes, false, std::forward<F>(request));
  }
  if (error == ETIMEDOUT) {
    throw Silence("no answer within " +
                  std::to_string(duration_cast<milliseconds>(timeout).count()) + " ms");
  }
  throw Silence("a wrong answer (" + text_of(error) + ")");
}

Answer Bus::read(int unit, const Extent& what, nanoseconds timeout) {
  const bool bits = is_bits(what.table);
  const int bytes = 8 + 5 + (bits ? (what.count + 7) / 8 : 2 * what.count);
  return transact(unit, timeout, bytes, true, [&](modbus_t* line, Answer& ret) {
    int rc = -1;
    switch (what.table) {
      case Table::Coil:
        rc = modbus_read_bits(line, what.address, what.count, flags_.data());
        break;
      case Table::Discrete:
        rc = modbus_read_input_bits(line, what.address, what.count, flags_.data());
        break;
      case Table::Input:
        rc = modbus_read_input_registers(line, what.address, what.count, words_.data());
        break;
      case Table::Holding:
        rc = modbus_read_registers(line, what.address, what.count, words_.data());
        break;
    }
    if (bits) std::copy_n(flags_.begin(), what.count, words_.begin());
    ret.words = std::span(words_).first(what.count);
    return rc;
  });
}

Answer Bus::write(int unit, Table table, uint16_t address, std::span<const uint16_t> words,
                  bool multiple, nanoseconds timeout) {
  const auto count = static_cast<int>(words.size());
  return transact(unit, timeout, 8 + 9 + 2 * count + 8, false, [&](modbus_t* line, Answer&) {
    if (table == Table::Holding) {
      return multiple ? modbus_write_registers(line, address, count, words.data())
                      : modbus_write_register(line, address, words[0]);
    }
    if (!multiple) return modbus_write_bit(line, address, words[0] != 0 ? 1 : 0);
    std::ranges::transform(words, flags_.begin(), [](uint16_t w) { return w != 0 ? 1 : 0; });
    return modbus_write_bits(line, address, count, flags_.data());
  });
}

}  // namespace fieldpost::modbus
