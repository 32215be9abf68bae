// SPDX-License-Identifier: Apache-2.0
//
// An outbox on the disk as an agent leaves it that was without its broker: devices with a state a
// second, brought to the disk every 5 s.
//
//   backlog FOLDER DEVICES SECONDS ATTRIBUTES
//
// The devices are d00000000000000000000001 and so on; the attributes a0, a1, …; a0 counts the
// states of its device from 0. The newest is of the second before now.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "store/outbox.hpp"

namespace fieldpost {
namespace {

constexpr int64_t kFlush = 5;  // seconds

std::string device_id(int number) {
  const std::string digits = std::to_string(number);
  return "d" + std::string(23 - digits.size(), '0') + digits;
}

Result<> run(const char* folder, int device_count, int64_t length, int attribute_count) {
  SymbolTable symbols;
  std::vector<Symbol> devices, attributes;
  for (int d = 1; d <= device_count; ++d) {
    devices.push_back(symbols.intern(device_id(d)));
  }
  for (int a = 0; a < attribute_count; ++a) {
    attributes.push_back(symbols.intern("a" + std::to_string(a)));
  }
  auto outbox = FP_TRY(Outbox::open({.folder = folder, .boot_id = "backlog"}, symbols));
  outbox.add_epoch({.since_ms = 0, .offset_ms = (std::time(nullptr) - length) * 1000});
  std::vector<Staged> samples;
  int64_t number = 0;
  for (int64_t second = 0; second < length; ++second) {
    for (size_t d = 0; d < devices.size(); ++d) {
      Staged& staged = samples.emplace_back();
      staged.number = ++number;
      staged.sample.device = devices[d];
      staged.sample.time.ms = second * 1000 + static_cast<int64_t>(d);
      for (size_t a = 0; a < attributes.size(); ++a) {
        Point& point = staged.sample.points.emplace_back();
        point.attribute = attributes[a];
        point.value = static_cast<double>(second) / (a == 0 ? 1 : 10);
      }
    }
    if (second % kFlush != kFlush - 1 && second + 1 < length) continue;
    FP_CHECK_OK(outbox.append(samples, number));
    samples.clear();
  }
  return outbox.checkpoint();
}

}  // namespace
}  // namespace fieldpost

int main(int argc, char** argv) {
  if (argc != 5) return 64;
  const auto done =
      fieldpost::run(argv[1], std::atoi(argv[2]), std::atoll(argv[3]), std::atoi(argv[4]));
  if (!done) std::fprintf(stderr, "backlog: %s\n", done.error().message.c_str());
  return done ? 0 : 1;
}
