// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a reading before it leaves the host: a number is scaled and rounded, one beyond its
// limits and a value that does not change though it should are no good ones, and what says nothing
// new stays here. The same for every plugin. Time is that of the samples. One thread.
#pragma once

#include <vector>

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

 private:
  struct Attribute {
    ReportRule rule;
    bool has_left = false, is_watched = false;
    Reading last;  // that left
    BootTime left{};
    Value watched;  // the last good one, and since when it has been the same
    BootTime since{};
  };
  static void judge(Attribute& attribute, Reading& reading, BootTime time);
  bool is_news(const Attribute& attribute, const Reading& reading, BootTime time) const;

  nanoseconds slack_{};                // polls are not to the millisecond
  std::vector<Attribute> attributes_;  // as declared
};

}  // namespace fieldpost
