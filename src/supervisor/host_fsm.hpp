// SPDX-License-Identifier: Apache-2.0
//
// Life of one plugin host, as a table: no clock, no pid, no I/O, so that every row is tested.
#pragma once

#include <cstdint>
#include <string_view>

namespace fieldpost {

enum class HostState : uint8_t {
  Down,      // not wanted, no process
  Starting,  // a process that has not yet opened its bus
  Up,        // polling
  Stopping,  // told to end
  Backoff,   // no process; started again after a pause that grows
  Degraded,  // no process: it died too often; started again after a long pause, never given up
  Failed,    // no process: it cannot run as things are; tried again after a long pause
};
enum class HostEvent : uint8_t {
  Start,        // it is wanted, or its circumstances have changed (a reload)
  Stop,         // it is not wanted any more
  Ready,        // the plugin has opened
  Exit,         // the process ended, or could not be started
  ExitOften,    // the same, overdrawing the crash budget
  Refused,      // it ended and said why it cannot run: the plugin or its configuration
  Unavailable,  // what it needs is not there now: the device, the unit that it is
  Timeout,      // the state's own timer: opening, a missed answer, grace after SIGTERM, a pause
};
enum class HostAction : uint8_t { None, Spawn, Terminate, Kill, ArmBackoff, ArmLongPause };

struct HostStep {
  HostState next;
  HostAction action;
  bool operator==(const HostStep&) const = default;
};

// Anything that is not listed changes nothing. Whether the host is wanted is its owner's to know:
// a Start that comes while Stopping is replayed when the process has ended.
constexpr HostStep step(HostState state, HostEvent event) {
  using enum HostState;
  using enum HostEvent;
  using enum HostAction;
  struct Rule {
    HostState state;
    HostEvent event;
    HostStep then;
  };
  constexpr Rule kRules[] = {
      {Down, Start, {Starting, Spawn}},
      {Backoff, Start, {Starting, Spawn}},
      {Degraded, Start, {Starting, Spawn}},
      {Failed, Start, {Starting, Spawn}},

      {Starting, Ready, {Up, None}},
      {Starting, Timeout, {Starting, Kill}},  // never said that it has opened
      {Up, Timeout, {Up, Kill}},              // stopped answering

      {Starting, Exit, {Backoff, ArmBackoff}},
      {Up, Exit, {Backoff, ArmBackoff}},
      {Starting, Unavailable, {Backoff, ArmBackoff}},
      {Up, Unavailable, {Backoff, ArmBackoff}},
      {Starting, ExitOften, {Degraded, ArmLongPause}},
      {Up, ExitOften, {Degraded, ArmLongPause}},
      {Starting, Refused, {Failed, ArmLongPause}},
      {Up, Refused, {Failed, ArmLongPause}},

      {Backoff, Timeout, {Starting, Spawn}},
      {Degraded, Timeout, {Starting, Spawn}},
      {Failed, Timeout, {Starting, Spawn}},

      {Starting, Stop, {Stopping, Terminate}},
      {Up, Stop, {Stopping, Terminate}},
      {Backoff, Stop, {Down, None}},
      {Degraded, Stop, {Down, None}},
      {Failed, Stop, {Down, None}},

      {Stopping, Timeout, {Stopping, Kill}},  // outstayed its grace
      {Stopping, Exit, {Down, None}},
      {Stopping, ExitOften, {Down, None}},
      {Stopping, Refused, {Down, None}},
      {Stopping, Unavailable, {Down, None}},
  };
  for (const Rule& rule : kRules) {
    if (rule.state == state && rule.event == event) return rule.then;
  }
  return {state, None};
}

// For status and logs: "down", "starting", "up", "stopping", "backoff", "degraded", "failed".
constexpr std::string_view name_of(HostState state) {
  constexpr std::string_view kNames[] = {"down",    "starting", "up",    "stopping",
                                         "backoff", "degraded", "failed"};
  return kNames[static_cast<size_t>(state)];
}

}  // namespace fieldpost
