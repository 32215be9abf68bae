// SPDX-License-Identifier: Apache-2.0
//
// What the pulses on one line come to: how many, how fast, how long. Pure: no I/O, no clock. Times
// are nanoseconds of CLOCK_MONOTONIC.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "edges.hpp"

namespace gpio {

inline constexpr int64_t kMostPulses = int64_t{1} << 53;  // a reading is exact up to here

class PulseCounter {
 public:
  struct Config {
    Edge edge = Edge::Rising;  // what counts; not None
    int64_t hold_ns = 0;       // how long a level must stand before it counts
    bool width = false;        // whether width() is asked for
    int64_t window_ns = 0;     // of rate()
    int64_t idle_ns = 0;       // so long after the last pulse frequency() is 0
    bool operator==(const Config&) const = default;
  };

  // `numbered`: edges carry the kernel's sequence numbers, so that lost ones are known.
  PulseCounter(const Config& config, bool numbered);

  // The edges that the chip must report: both where the other one ends a pulse or a bounce, or
  // where only the order of directions shows that one is missing.
  Edge needed() const { return filter_.needed(); }

  // The line was taken, with this level.
  void start(bool level, int64_t now);
  // The next edge, in the order of time.
  void on_edge(const EdgeEvent& edge, int64_t at);
  // Time has passed, and all edges before `now` were given.
  void on_time(int64_t now);
  // When on_time() may have something, if no edge comes.
  std::optional<int64_t> deadline() const { return filter_.deadline(); }
  // The kernel's buffer was found full: edges that nobody can number may be lost.
  void overrun() { exact_ = false; }

  // Goes on from there; `exact` as below.
  void set(int64_t total, int64_t missed, bool exact = true);
  int64_t total() const { return total_; }  // never less than it was, but by set(); <= kMostPulses
  int64_t missed() const { return missed_; }  // edges that were not read
  // Whether all that were missed are counted; else the total is a lower bound. Since it was set.
  bool exact() const { return exact_; }

  // Pulses per second, over the window or, while that is longer, since the line was first taken.
  double rate(int64_t now);
  // In Hz, from the edges of one direction since it was last asked for; while none comes, no more
  // than what is still possible.
  double frequency(int64_t now);
  // How long the pulses were active, on average, that ended since it was last asked for; in s.
  std::optional<double> take_width();

 private:
  struct Mark {
    int64_t at = 0;
    int64_t pulses = 0;
  };
  bool is_doubtful(const EdgeEvent& next) const;
  void note_lost(const EdgeEvent& next);
  void note(const Change& change);
  void count_by_order();
  void add(int64_t pulses);

  Config config_;
  bool numbered_;
  bool by_order_;  // edges are known by their order alone
  EdgeFilter filter_;
  int64_t total_ = 0, missed_ = 0;
  bool exact_ = true;
  bool seen_ = false;                   // an edge since the line was taken, and then
  bool last_rising_ = false;            // its direction
  uint32_t sequence_ = 0;               // and its number
  int64_t edges_ = 0;                   // by order: since the line was taken,
  int64_t told_ = 0;                    // pulses by the directions that came with them,
  int64_t counted_ = 0;                 // and those that are in the total
  int64_t pulses_ = 0;                  // since the start
  std::deque<Mark> marks_;              // of rate(): the oldest is as old as the window
  std::optional<int64_t> from_, last_;  // edges between which `periods_` lie
  int64_t periods_ = 0;
  double frequency_ = 0;
  std::optional<int64_t> active_since_;
  int64_t width_sum_ = 0, widths_ = 0;
};

}  // namespace gpio
