// SPDX-License-Identifier: Apache-2.0
//
// Brings together what is known of the clock (base/time_sync.hpp), the line and the store, asks for
// a decision (model/clock_epochs.hpp) and has it stored. Main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "store/store.hpp"

namespace fieldpost {

class ClockKeeper {
 public:
  struct Clocks {
    int64_t boot_ms = 0;
    int64_t offset_ms = 0;  // UTC minus boot time
  };
  struct Options {
    nanoseconds hold{};  // clock.hold
    // What follows is for tests.
    int64_t floor_ms = built_ms();  // UTC that has certainly been reached
    std::function<Clocks()> clocks = read_clocks;
  };
  // What it has come to, for the status.
  struct View {
    bool known = false;      // something could be decided yet
    bool may_send = false;   // this boot has a time
    bool estimated = false;  // which nobody vouches for
    int64_t ignored_step_ms = 0;
    // Boot time at which an estimate is made; none: the line has to come back first, or none is
    // to be made.
    std::optional<int64_t> held_until_ms;
    std::string trouble;  // why the decision could not be stored
  };

  ClockKeeper(Store& store, Options options) : store_(&store), options_(std::move(options)) {}

  // The clock may have been set, or is vouched for now, or no more. Nothing is decided before the
  // first call. Only here the clock is looked at: it does not change in between, and one that was
  // just set says nothing before the sources have been heard about it.
  void on_time_sync(bool synchronised);
  void on_line(std::optional<BootTime> online_since);  // none: the broker is out of reach
  void set_hold(nanoseconds hold);
  // Time has gone by, or the store's clock() is another. To be called every second or so.
  void look();

  const View& view() const { return view_; }

  // When this program was configured for building: no clock that is right says less.
  static int64_t built_ms();
  static Clocks read_clocks();

 private:
  bool is_news(const ClockFacts& facts, const ClockDecision& decision) const;
  void keep(const ClockFacts& facts, const ClockDecision& decision);

  Store* store_;
  Options options_;
  bool heard_ = false;  // on_time_sync()
  bool synchronised_ = false;
  int64_t offset_ms_ = 0;
  std::optional<int64_t> online_since_ms_;
  // What the store was told last.
  std::optional<int64_t> told_mark_ms_, told_offset_ms_;
  View view_;
};

}  // namespace fieldpost
