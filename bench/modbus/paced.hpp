// SPDX-License-Identifier: Apache-2.0
//
// What floor and publisher share: one turn after the other at fixed times, measured from outside.
//
// Prints "ready" after the first turn, when everything has been allocated and connected, and the
// number of values of the turns after it at the end. Then waits for the end of stdin, so that what
// the process used can still be read from /proc.
#pragma once

#include <time.h>

#include <cstdio>
#include <cstdlib>

struct Load {
  int port;  // on 127.0.0.1
  int units;
  int registers;  // of each unit
  long interval_ms;
  long turns;
};

inline int to_int(const char* text) { return static_cast<int>(std::strtol(text, nullptr, 10)); }

inline Load parse_load(int argc, char** argv) {
  if (argc != 6) {
    (void)std::fprintf(stderr, "usage: %s PORT UNITS REGISTERS INTERVAL_MS TURNS\n", argv[0]);
    std::_Exit(64);
  }
  return {to_int(argv[1]), to_int(argv[2]), to_int(argv[3]), to_int(argv[4]), to_int(argv[5])};
}

template <class Turn>
void run_paced(const Load& load, Turn turn) {
  turn();
  std::puts("ready");
  (void)std::fflush(stdout);
  timespec next{};
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (long i = 0; i < load.turns; ++i) {
    next.tv_nsec += load.interval_ms * 1'000'000;
    for (; next.tv_nsec >= 1'000'000'000; next.tv_nsec -= 1'000'000'000) ++next.tv_sec;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr);
    turn();
  }
  std::printf("%ld\n", load.turns * load.units * load.registers);
  (void)std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}
