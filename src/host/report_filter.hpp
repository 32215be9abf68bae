// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a reading before it leaves the host: a number is scaled and rounded, one beyond
// its limits and a value that does not change though it should are no good ones, and what says
// nothing new stays here. The same for every plugin. Time is that of the samples. One thread.
#pragma once

#include <optional>
#include <vector>

#include "model/message.hpp"
#include "model/plugin_info.hpp"
#include "model/reading.hpp"

namespace fieldpost {

class ReportFilter {
 public:
  ReportFilter() = default;  // of an instance without attributes
  ReportFilter(const Declaration& declaration, const InstanceConfig& config);

  // Judges the readings of a sample and takes out those that are not to leave. The first of an
  // attribute leaves, and so does each whose quality is another than that of the one before. A
  // sample from before the last one of an attribute leaves whole: nobody can say what it repeats.
  void apply(Sample& sample);
  // Between these what is emitted was brought by a poll of that unit.
  void poll_begins(uint32_t unit);
  void poll_ends(bool good);  // whether it answered
  // What was held back since the last time, and what was found out about attributes.
  std::optional<message::Held> take_held();
  // What each attribute brings next leaves.
  void renew();

 private:
  struct Attribute {
    ReportRule rule;
    uint32_t unit = 0;
    uint64_t last_poll = 0;  // of its unit, that brought a good one; 0: none
    uint64_t seen = 0;       // the last that brought any
    bool has_left = false, is_watched = false, is_polled = false, is_held = false;
    Reading last;  // that left
    BootTime left{};
    Value watched;  // the last good one, and since when it has been the same
    BootTime since{};
  };
  static void judge(Attribute& attribute, Reading& reading, BootTime time);
  bool is_news(const Attribute& attribute, const Reading& reading, BootTime time) const;
  void note_poll(uint32_t index, bool is_good);
  void hold(uint32_t index, BootTime time);

  nanoseconds slack_{};                         // polls are not to the millisecond
  std::vector<Attribute> attributes_;           // as declared
  std::vector<uint64_t> polls_;                 // of each unit
  std::vector<std::vector<uint32_t>> of_unit_;  // its attributes
  std::optional<uint32_t> polled_unit_;
  message::Held held_;
};

}  // namespace fieldpost
