#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions per reading of the store, counted by valgrind, beside their floor.

Each figure is the difference of two runs of different length, so that start-up does not count.
Build first: cmake --preset release && cmake --build --preset release --target bench_store
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

READINGS_PER_SECOND = 200
ROOT = pathlib.Path(__file__).resolve().parents[2]


def instructions(program, mode, flushes, interval):
    """Instructions of one run."""
    ran = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program,
         "--mode", mode, "--flushes", str(flushes), "--interval", str(interval)],
        capture_output=True, text=True, check=False)
    found = re.search(r"Collected\s*:\s*(\d+)", ran.stderr)
    if ran.returncode != 0 or not found:
        sys.exit(f"run.py: {mode}: {ran.stderr}")
    return int(found.group(1))


def per_reading(program, mode, interval, short, long):
    more = instructions(program, mode, long, interval) - instructions(program, mode, short, interval)
    return more / ((long - short) * interval * READINGS_PER_SECOND)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=str(ROOT / "build/release/bench/bench_store"))
    parser.add_argument("--interval", type=int, nargs="*", default=[5, 1, 30])
    parser.add_argument("--json", help="write the figures to this file as well")
    args = parser.parse_args()
    rows = []
    for interval in args.interval:
        # Long enough that checkpoints of the WAL are in it as often as in a long life.
        short, long = max(4, 300 // interval), max(12, 1500 // interval)
        counts = {mode: per_reading(args.program, mode, interval, short, long)
                  for mode in ("floor", "append", "online", "drain")}
        run = json.loads(subprocess.run(
            [args.program, "--mode", "drain", "--flushes", str(3600 // interval),
             "--interval", str(interval)], capture_output=True, text=True, check=True).stdout)
        rows.append({
            "interval_s": interval,
            "floor": round(counts["floor"], 1),
            "append_with_floor": round(counts["append"], 1),
            "append": round(counts["append"] - counts["floor"], 1),
            "online_with_floor": round(counts["online"], 1),
            "fetch_acknowledge_delete": round(counts["drain"] - counts["append"], 1),
            "goal_append_with_floor": 500,
            "file_bytes_per_reading": round(run["file_bytes"] / run["readings"], 2),
            "drain_readings_per_s": round(run["fetched"] / run["drain_s"]),
        })
    print("instructions per reading (200 attributes of 10 devices, once a second)")
    print(f"{'flush':>6} {'floor':>7} {'append+floor':>13} {'append':>7} {'online+floor':>13} "
          f"{'drain':>7} {'file B/rd':>10} {'drain rd/s':>11}")
    for r in rows:
        print(f"{r['interval_s']:>4} s {r['floor']:>8} {r['append_with_floor']:>13} "
              f"{r['append']:>7} {r['online_with_floor']:>13} {r['fetch_acknowledge_delete']:>7} "
              f"{r['file_bytes_per_reading']:>10} {r['drain_readings_per_s']:>11}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
