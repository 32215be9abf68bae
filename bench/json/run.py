#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions for each reading that becomes JSON, beside a memcpy of the same text.

Build first: cmake --preset release && cmake --build --preset release --target bench_json
"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import callgrind  # noqa: E402  pylint: disable=wrong-import-position

READINGS_PER_SECOND = 200
GOAL = 250


def main():
    args = callgrind.arguments(__doc__, "bench_json").parse_args()
    # Whole turns of the 60 seconds that the program has prepared.
    floor, state = (callgrind.per_item([args.program, "--mode", mode, "--seconds"], 120, 600,
                                       READINGS_PER_SECOND) for mode in ("floor", "state"))
    run = json.loads(subprocess.run([args.program, "--mode", "state", "--seconds", "600"],
                                    capture_output=True, text=True, check=True).stdout)
    row = {"floor": round(floor, 1), "state": round(state, 1), "ratio": round(state / floor, 1),
           "goal": GOAL, "bytes_per_reading": round(run["bytes"] / run["readings"], 1)}
    print("instructions per reading (200 attributes of 10 devices, once a second)")
    print(f"{'memcpy':>8} {'JSON':>8} {'JSON/memcpy':>12} {'goal':>6} {'B/reading':>10}")
    print(f"{row['floor']:>8} {row['state']:>8} {row['ratio']:>12} {'<= ' + str(GOAL):>6} "
          f"{row['bytes_per_reading']:>10}")
    callgrind.write(args.json, row)


if __name__ == "__main__":
    main()
