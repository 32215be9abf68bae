// SPDX-License-Identifier: Apache-2.0
//
// What edges mean: debouncing, and the clock they are stamped with. Pure: no I/O, no clock.
// Times are nanoseconds of CLOCK_MONOTONIC.
#pragma once

#include <cstdint>
#include <optional>

#include "lines.hpp"

namespace gpio {

// A level that counts, and since when.
struct Change {
  bool level = false;
  int64_t at = 0;
  bool operator==(const Change&) const = default;
};

// Turns the edges of one line into the changes that the configuration asks for. With a hold time a
// level counts once it has stood that long, and the change is stamped with the edge that began it,
// not with the moment we knew. Without one, every edge counts.
class EdgeFilter {
 public:
  EdgeFilter(Edge wanted, int64_t hold_ns) : wanted_(wanted), hold_(hold_ns) {}

  // The edges that the chip must report for this to work: releasing a button ends a press, too.
  Edge needed() const { return wanted_ == Edge::None || hold_ == 0 ? wanted_ : Edge::Both; }

  // The level when the line was taken.
  void start(bool level) {
    raw_ = level_ = level;
    since_.reset();
  }

  // The next edge, in the order of time. It may settle a change that came before it.
  std::optional<Change> on_edge(bool level, int64_t at) {
    if (hold_ == 0) {
      raw_ = level_ = level;
      return filtered({level, at});
    }
    std::optional<Change> settled = on_time(at);
    raw_ = level;
    since_ = level == level_ ? std::nullopt : std::optional(at);
    return settled;
  }

  // Time has passed, and all edges before `now` were given.
  std::optional<Change> on_time(int64_t now) {
    if (!since_ || now - *since_ < hold_) return std::nullopt;
    const Change change{raw_, *since_};
    level_ = raw_;
    since_.reset();
    return filtered(change);
  }

  // What was read from the line. Differs from the last edge only when edges were lost.
  std::optional<Change> on_level(bool level, int64_t now) {
    return level == raw_ ? on_time(now) : on_edge(level, now);
  }

  // When on_time() may have something, if no edge comes.
  std::optional<int64_t> deadline() const {
    return since_ ? std::optional(*since_ + hold_) : std::nullopt;
  }

  bool level() const { return level_; }

 private:
  std::optional<Change> filtered(const Change& change) const {
    const bool counts = wanted_ == Edge::Both || (wanted_ == Edge::Rising) == change.level;
    return wanted_ != Edge::None && counts ? std::optional(change) : std::nullopt;
  }

  Edge wanted_;
  int64_t hold_;
  bool raw_ = false;              // after the last edge
  bool level_ = false;            // that counts
  std::optional<int64_t> since_;  // when raw_ began, while it does not count yet
};

// The two clocks, read at one moment, or as near to it as kAccuracy (ns).
struct Clocks {
  static constexpr int64_t kAccuracy = 1000;
  int64_t monotonic = 0;
  int64_t boottime = 0;
};

// The time of an edge: no later than now, so that a stamp of another clock (Linux before 5.7 used
// the wall clock) becomes the time at which the edge was read.
inline int64_t edge_time(int64_t stamp, int64_t now) {
  return stamp <= 0 || stamp > now ? now : stamp;
}

// CLOCK_BOOTTIME of a moment of CLOCK_MONOTONIC. They differ by the time spent suspended, so this
// is as exact as the clocks were read, unless the machine slept between the two moments.
inline int64_t to_boottime(int64_t monotonic, const Clocks& now) {
  return monotonic + (now.boottime - now.monotonic);
}

}  // namespace gpio
