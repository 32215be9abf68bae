// SPDX-License-Identifier: Apache-2.0
//
// What the outbox costs the disk, as the kernel counts it for the store thread: pages that it made
// dirty on a block device. A tmpfs does not count. The file system's own journal comes on top;
// nobody can tell which thread caused that.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "base/clock.hpp"

namespace fieldpost {

struct Written {
  int64_t bytes = 0;                  // since the thread began
  int64_t recent_bytes = 0;           // of the last `recent`
  std::chrono::nanoseconds recent{};  // the last 24 h, to the hour; less when it runs for less
};

class Wear {
 public:
  // The store thread, now and then. A few microseconds.
  void note(BootTime now);
  // Any thread. Nothing if the kernel does not say.
  std::optional<Written> written(BootTime now) const;

  // `note()` with a count that is known.
  void note(BootTime now, int64_t total);

 private:
  mutable std::mutex mutex_;
  // Counts at the beginning of each hour that is within the last 24 h, and the one before.
  std::deque<std::pair<BootTime, int64_t>> hours_;
  int64_t total_ = 0;
};

// Of the calling thread, in bytes: ru_oublock of getrusage(2), which is write_bytes of proc(5)'s
// io. Nothing where the kernel does not count.
std::optional<int64_t> bytes_written_by_this_thread();

}  // namespace fieldpost
