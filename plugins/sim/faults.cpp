// SPDX-License-Identifier: Apache-2.0
#include "faults.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldpost::sim {
namespace {

constexpr size_t kLeak = size_t{16} << 20;
constexpr int kSamples = 100'000;
constexpr int kLines = 10'000;
constexpr int kDatagrams = 1'000;
constexpr int kHighestFd = 64;

Fault to_fault(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, Fault>, 10> kNames{
      {{"none", Fault::None},
       {"refuse", Fault::Refuse},
       {"crash", Fault::Crash},
       {"hang", Fault::Hang},
       {"leak", Fault::Leak},
       {"flood", Fault::Flood},
       {"chatter", Fault::Chatter},
       {"error", Fault::Error},
       {"garbage", Fault::Garbage},
       {"scribble", Fault::Scribble}}};
  for (const auto& [text, fault] : kNames) {
    if (text == name) return fault;
  }
  throw std::logic_error("no such fault");  // the table allows no other
}

void leak() {
  static std::vector<std::unique_ptr<char[]>> kept;
  kept.push_back(std::make_unique<char[]>(kLeak));
  std::memset(kept.back().get(), 1, kLeak);  // memory that was never touched costs nothing
}

void flood(const fp_host& host, uint32_t attribute) {
  const fp_str none{nullptr, 0};
  for (int i = 0; i < kSamples; ++i) {
    const fp_reading r{
        sizeof(fp_reading), attribute, FP_GOOD, 0, {FP_NUMBER, 0, 1.0 * i, none}, none};
    (void)host.emit(host.ctx, 0, &r, 1);
  }
}

void chatter(const sdk::Host& host) {
  for (int i = 0; i < kLines; ++i) {
    const std::string line = "chatter " + std::to_string(i);
    host.log(4, line);
    (void)std::fprintf(stderr, "%s\n", line.c_str());
  }
}

// Everything a reading can have wrong. The host must take none of it, and say why.
void garbage(const fp_host& host, uint32_t attribute) {
  static const std::string too_long(70'000, 'x');
  static const std::string not_utf8 = "\xff\xfe";
  const fp_str none{nullptr, 0};
  const auto number = [&](double n) { return fp_value{FP_NUMBER, 0, n, none}; };
  const auto text = [](const std::string& t) {
    return fp_value{FP_STRING, 0, 0, {t.data(), t.size()}};
  };
  const auto size = static_cast<uint32_t>(sizeof(fp_reading));
  const std::array<fp_reading, 7> readings{{
      {size, attribute, FP_GOOD, 0, number(std::numeric_limits<double>::quiet_NaN()), none},
      {size, attribute, FP_GOOD, 0, number(std::numeric_limits<double>::infinity()), none},
      {size, attribute, FP_GOOD, 0, text(too_long), none},
      {size, attribute, FP_GOOD, 0, text(not_utf8), none},
      {size, attribute, FP_GOOD, 0, fp_value{77, 0, 0, none}, none},
      {size, attribute, 99, 0, number(1), none},
      {size, 1'000'000, FP_GOOD, 0, number(1), none},
  }};
  for (const fp_reading& r : readings) (void)host.emit(host.ctx, 0, &r, 1);
  // A good one with a time that is not: long before this boot, and years ahead.
  const fp_reading good{size, attribute, FP_GOOD, 0, number(1), none};
  (void)host.emit(host.ctx, -1, &good, 1);
  (void)host.emit(host.ctx, std::numeric_limits<int64_t>::max(), &good, 1);
}

// What memory gone wrong in a plugin can do to the connection that it shares the process with.
void scribble(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<unsigned char> bytes(4096);
  for (int fd = STDERR_FILENO + 1; fd < kHighestFd; ++fd) {
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) continue;
    if (type != SOCK_SEQPACKET) continue;
    for (int i = 0; i < kDatagrams; ++i) {
      for (unsigned char& b : bytes) b = static_cast<unsigned char>(random());
      (void)send(fd, bytes.data(), random() % bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
  }
}

}  // namespace

FaultSpec read_fault(const sdk::Section& section) {
  return {to_fault(section.text("fault")), section.duration("fault_after"),
          section.integer("fault_after_polls")};
}

void commit(Fault fault, sdk::Host& host, const fp_host& raw, uint32_t attribute, uint64_t seed) {
  switch (fault) {
    case Fault::None:
      return;
    case Fault::Refuse:
      throw sdk::ConfigError("refused, as the configuration asks");
    case Fault::Crash:
      std::abort();
    case Fault::Hang:
      for (;;) pause();
    case Fault::Leak:
      return leak();
    case Fault::Flood:
      return flood(raw, attribute);
    case Fault::Chatter:
      return chatter(host);
    case Fault::Error:
      throw sdk::IoError("no answer, as the configuration asks");
    case Fault::Garbage:
      return garbage(raw, attribute);
    case Fault::Scribble:
      return scribble(seed);
  }
}

}  // namespace fieldpost::sim
