// SPDX-License-Identifier: Apache-2.0
//
// Payloads and their bytes, to the broker and from it, by device and calendar month in UTC: what
// platforms bill. A message that is sent again counts again. Any thread; no I/O.
//
// The counts live in a file of the run directory, which survives a crash, and are stored beside the
// outbox when the agent ends. A power cut costs what came since they were stored, and then the
// months in question say that they are at least so much.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace fieldpost {

class TrafficCounts {
 public:
  static constexpr size_t kMonths = 13;  // that are kept: this one, and a year

  struct Count {
    int64_t payloads = 0;
    int64_t bytes = 0;
  };
  struct Month {
    std::string name;                                   // "2026-11"
    bool at_least = false;                              // some of it was not counted
    std::map<std::string, Count, std::less<>> devices;  // by Losant id
    Count all() const;
  };

  // One payload, at this UTC.
  void count(std::string_view device, size_t bytes, int64_t utc_ms);

  // Newest first; but those that are later than this UTC, of a clock that was far ahead, come last.
  std::vector<Month> months(int64_t utc_ms) const;

  // For a file. `complete`: nothing will be counted after it.
  std::string text(bool complete) const;
  // Instead of all that was counted: what text() said. `newest`: it is known that nothing was
  // counted after it, whatever it says itself; else what was lost was of the newest month that is
  // not later than this UTC. Errors: Invalid; nothing is changed.
  Result<> restore(std::string_view text, bool newest, int64_t utc_ms);

 private:
  Month& month(int64_t utc_ms);

  mutable std::mutex mutex_;
  int64_t hour_ = -1;  // since 1970, that name_ is for: a message must not cost a calendar
  std::string name_;
  std::map<std::string, Month> months_;  // by name
  bool torn_ = false;                    // the next that is counted may belong to a torn month
};

}  // namespace fieldpost
