// SPDX-License-Identifier: Apache-2.0
//
// The world outside a GPIO chip, as tests see it: eight lines, 0 to 3 called door, pump, relay and
// valve. Implemented by a fake of the plugin's lines (gpio_rig_fake.cpp) and by the kernel's
// gpio-sim (gpio_rig_sim.cpp); whoever links chooses, and with it the plugin's backend.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace gpio_rig {

inline constexpr unsigned kDoor = 0, kPump = 1, kRelay = 2, kValve = 3, kUnnamed = 5;

// Why these tests cannot run here; empty if they can.
std::string unavailable();
// Back to the start: plugged in, every line pulled low, nobody holds any.
void reset();
// What the option `chip` should say.
std::string chip();
// Pulls a line from outside, to a voltage: high or low.
void pull(unsigned offset, bool high);
// The voltage on a line.
bool voltage(unsigned offset);
// Somebody else takes the line. Returns as whom.
std::string occupy(unsigned offset);
void vacate();
void unplug();
void plug();

// ---- The fake only. ----

// What the line's driver was told, in order: each direction change or level is an entry.
std::vector<std::string> driven(unsigned offset);
// The line stays at this voltage, whatever drives it.
void short_circuit(unsigned offset, bool high);
// The chip forgets the edges that are waiting to be read.
void lose_edges();
// From the next reset() on edges have numbers, as with libgpiod 2, or not, and a line has room for
// so many of them: those that find none are lost, the oldest of numbered ones, else the newest.
void buffer_edges(bool numbered, size_t room);
// What happens while the level of the line is read.
void on_read(unsigned offset, std::function<void()> what);
// The line becomes an output at this level, as an earlier holder has left it.
void leave_driven(unsigned offset, bool high);

}  // namespace gpio_rig
