// SPDX-License-Identifier: Apache-2.0
#include "base/clock.hpp"

#include <ctime>

#include "base/file.hpp"

namespace fieldpost {
namespace {

nanoseconds read_clock(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return std::chrono::seconds(t.tv_sec) + nanoseconds(t.tv_nsec);
}

}  // namespace

BootClock::time_point BootClock::now() noexcept { return time_point(read_clock(CLOCK_BOOTTIME)); }

nanoseconds wall_offset() {
  nanoseconds best_gap = nanoseconds::max();
  nanoseconds offset{};
  for (int i = 0; i < 8 && best_gap > std::chrono::microseconds(1); ++i) {
    const nanoseconds before = read_clock(CLOCK_BOOTTIME);
    const nanoseconds wall = read_clock(CLOCK_REALTIME);
    const nanoseconds gap = read_clock(CLOCK_BOOTTIME) - before;
    if (gap < best_gap) {
      best_gap = gap;
      offset = wall - (before + gap / 2);
    }
  }
  return offset;
}

int64_t utc_ms(BootTime time) { return in_ms(time.time_since_epoch() + wall_offset()); }

Result<std::string> boot_id() {
  std::string id = FP_TRY(read_file("/proc/sys/kernel/random/boot_id", 64));
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

}  // namespace fieldpost
