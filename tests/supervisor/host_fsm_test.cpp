// SPDX-License-Identifier: Apache-2.0
#include "supervisor/host_fsm.hpp"

#include <gtest/gtest.h>

#include "supervisor/crash_budget.hpp"
#include "supervisor/rate.hpp"

namespace fieldpost {
namespace {

using namespace std::chrono_literals;
using enum HostState;
using enum HostEvent;
using enum HostAction;

constexpr HostState kStates[] = {Down, Starting, Up, Stopping, Backoff, Degraded, Failed};
constexpr HostEvent kEvents[] = {Start,     Stop,    Ready,       Exit,
                                 ExitOften, Refused, Unavailable, Timeout};

// Written out a second time, as a matrix, so that a slip in the table's rules is seen.
constexpr HostStep kSame[] = {{Down, None},    {Starting, None}, {Up, None},    {Stopping, None},
                              {Backoff, None}, {Degraded, None}, {Failed, None}};

HostStep expected(HostState state, HostEvent event) {
  const bool has_process = state == Starting || state == Up || state == Stopping;
  const bool waits = state == Backoff || state == Degraded || state == Failed;
  switch (event) {
    case Start:
      return has_process ? kSame[static_cast<int>(state)] : HostStep{Starting, Spawn};
    case Stop:
      if (state == Stopping) return {Stopping, None};
      return has_process ? HostStep{Stopping, Terminate} : HostStep{Down, None};
    case Ready:
      return state == Starting ? HostStep{Up, None} : kSame[static_cast<int>(state)];
    case Timeout:
      if (has_process) return {state, Kill};
      return waits ? HostStep{Starting, Spawn} : HostStep{Down, None};
    case Exit:
    case ExitOften:
    case Refused:
    case Unavailable:
      break;
  }
  if (state == Stopping) return {Down, None};
  if (!has_process) return kSame[static_cast<int>(state)];
  if (event == ExitOften) return {Degraded, ArmLongPause};
  return event == Refused ? HostStep{Failed, ArmLongPause} : HostStep{Backoff, ArmBackoff};
}

TEST(HostFsm, EveryStateAndEventGoWhereTheyShould) {
  for (const HostState state : kStates) {
    for (const HostEvent event : kEvents) {
      EXPECT_EQ(step(state, event), expected(state, event))
          << name_of(state) << " and event " << static_cast<int>(event);
    }
  }
}

TEST(HostFsm, NothingIsEverGivenUp) {
  for (const HostState state : {Backoff, Degraded, Failed}) {
    EXPECT_EQ(step(state, Timeout), (HostStep{Starting, Spawn})) << name_of(state);
  }
}

TEST(HostFsm, StopAlwaysEndsDown) {
  for (const HostState from : kStates) {
    for (const HostEvent exit : {Exit, ExitOften, Refused, Unavailable}) {
      EXPECT_EQ(step(step(from, Stop).next, exit).next, Down) << name_of(from);
    }
  }
}

TEST(CrashBudget, ForgivesWhatIsLongAgo) {
  CrashBudget budget(5, 60s);
  const BootTime start{1000s};
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(budget.spend(start + i * 1s));
  EXPECT_TRUE(budget.spend(start + 59s));
  EXPECT_FALSE(CrashBudget(5, 60s).spend(start));
  CrashBudget slow(5, 60s);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(slow.spend(start + i * 12s));
}

TEST(CrashBudget, StaysOverdrawnWhileItGoesOn) {
  CrashBudget budget(2, 60s);
  const BootTime start{1000s};
  EXPECT_FALSE(budget.spend(start));
  EXPECT_FALSE(budget.spend(start));
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(budget.spend(start + i * 10ms));
}

TEST(Rate, AllowsABurstAndThenTheLongRun) {
  Rate rate(10, 100);
  BootTime now{1000s};
  int taken = 0;
  while (rate.take(1, now)) ++taken;
  EXPECT_EQ(taken, 100);
  now += 1s;
  while (rate.take(1, now)) ++taken;
  EXPECT_EQ(taken, 110);
  now += 1h;
  EXPECT_FALSE(rate.take(101, now));
  EXPECT_TRUE(rate.take(100, now));
}

}  // namespace
}  // namespace fieldpost
