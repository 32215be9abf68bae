// SPDX-License-Identifier: Apache-2.0
//
// What a real plugin-host keeps, however it ends: the next process is told, and no reading was
// ahead.
#include <gtest/gtest.h>
#include <signal.h>

#include "base/event_loop.hpp"
#include "host/host_driver.hpp"
#include "supervisor/host_process.hpp"
#include "supervisor/kept_values.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;

const KeptValues::Id kId{"puppet", "puppet"};

TEST(KeptHost, AKilledHostTakesNothingFromATotal) {
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &blocked, nullptr), 0);
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop);
  KeptValues kept;
  kept.configure({kId});
  int64_t published = 0, readings = 0, back = 0, ahead = 0, starts = 0;
  HostProcess* process = nullptr;
  HostProcess::Sinks sinks{
      .declared = [](const Declaration&) -> Result<> { return {}; },
      .samples =
          [&](message::Samples&& samples) {
            for (const Sample& sample : samples.samples) {
              const auto now = static_cast<int64_t>(std::get<double>(sample.readings[0].value));
              back += now <= published ? 1 : 0;
              ahead += now > kept.begin(kId)[0].value ? 1 : 0;
              published = now;
            }
            if (++readings % 10 == 0 && process->status().pid > 0) {
              ::kill(process->status().pid, SIGKILL);
            }
          },
      .unit_state = [](const message::UnitState&) {},
      .outcome = [](const message::Outcome&) {},
      .state = [&] { starts = process->status().starts; },
      .keep = [&](const message::Keep& keep) { EXPECT_TRUE(kept.keep(kId, keep.values)); },
      .kept = [&] { return kept.begin(kId); }};
  HostProcess host(*loop,
                   {.plugin_host = test::plugin_host(),
                    .plugin = test::plugin_path("puppet"),
                    .config = test::puppet("keep", 0, 2ms),
                    .timing = {.first_pause = 1ms, .longest_pause = 5ms, .exits = 1000}},
                   sinks);
  process = &host;
  host.start();
  const auto watch = loop->every(10ms, [&] {
    if (starts > 20) (void)loop->exit(0);
  });
  ASSERT_TRUE(watch);
  const auto limit = loop->after(50s, [&] { (void)loop->exit(1); });
  ASSERT_TRUE(limit);
  (void)loop->run();
  EXPECT_GT(starts, 20);
  EXPECT_EQ(back, 0) << "a total went back, or came twice";
  EXPECT_EQ(ahead, 0) << "a reading was ahead of what was kept";
  EXPECT_GE(kept.begin(kId)[0].value, published);
}

}  // namespace
}  // namespace fieldpost
