// SPDX-License-Identifier: Apache-2.0
//
// A kill before and after each step that leaves a trace on the disk.
#include <gtest/gtest.h>

#include "trial_site.hpp"

namespace fieldpost {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture

void run(Site& site, bool confirmed) {
  ASSERT_TRUE(site.begin());
  site.put_in_place();
  if (confirmed) {
    ASSERT_TRUE(site.trial->confirm(site.now));
    return;
  }
  site.now += 10min;
  site.read();
  site.write_earlier();
  site.read();
}

// How many steps there are.
int steps_of(bool confirmed) {
  Site site;
  run(site, confirmed);
  return site.steps;
}

void kill_at(Site& site, int when, bool confirmed) {
  site.killed_at = when;
  EXPECT_THROW(run(site, confirmed), Killed);
  site.killed_at = -1;
}

// Whether it was noted on the disk that it is confirmed.
bool is_confirmed(const Site& site) {
  const auto text = read_file(site.paths.trial(), 1 << 20);
  return text && text->find("\"confirmed\"") != std::string::npos;
}

TEST(TrialKills, WhatRunsIsTheEarlierOneOrTheAppliedOneWithAWayBack) {
  for (const bool confirmed : {true, false}) {
    const int count = 2 * steps_of(confirmed);
    ASSERT_GE(count, 2 * (confirmed ? 5 : 8));
    for (int when = 0; when < count; ++when) {
      for (const bool power_cut : {true, false}) {
        SCOPED_TRACE(std::to_string(when) + (power_cut ? " power cut" : " kill") +
                     (confirmed ? " confirmed" : " rolled back"));
        Site site;
        kill_at(site, when, confirmed);
        power_cut ? site.restart_machine() : site.start();
        const bool noted = is_confirmed(site);
        EXPECT_TRUE(noted || site.runs() == "old" || site.trial->view().running) << site.runs();
        EXPECT_TRUE(site.runs() == "old" || site.runs() == "new") << site.runs();
        for (int i = 0; i < 3; ++i) {  // and nobody comes
          site.now += 10min;
          i == 1 ? site.restart_machine() : site.start();
          EXPECT_EQ(site.runs(), noted ? "new" : "old");
        }
        EXPECT_EQ(site.last_good() == site.fresh(), noted);
      }
    }
  }
}

}  // namespace
}  // namespace fieldpost
