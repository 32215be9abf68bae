#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions per reading of the store, counted by valgrind, beside their floor.

Each figure is the difference of two runs of different length, so that start-up does not count.
Build first: cmake --preset release && cmake --build --preset release --target bench_store
"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import callgrind  # noqa: E402  pylint: disable=wrong-import-position

READINGS_PER_SECOND = 200
BACKLOGS = (10_000, 1_000_000, 11_000_000)  # readings


def backlog(program, readings):
    """Of three runs with a flush every 5 s: the fastest drain, and the memory before it."""
    runs = [json.loads(subprocess.run(
        [program, "--mode", "drain", "--flushes", str(readings // (5 * READINGS_PER_SECOND))],
        capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    return {"readings": readings, "pss_kib": min(run["pss_kib"] for run in runs),
            "drain_readings_per_s": round(max(run["fetched"] / run["drain_s"] for run in runs))}


def print_backlogs(program):
    rows = [backlog(program, readings) for readings in BACKLOGS]
    print("\n| backlog, readings | PSS KiB | drain, readings/s | of the first |\n|---|---|---|---|")
    for r in rows:
        ratio = r["drain_readings_per_s"] / rows[0]["drain_readings_per_s"]
        print(f"| {r['readings']:,} | {r['pss_kib']} | {r['drain_readings_per_s']:,} | {ratio:.2f} |")
    return rows


def main():
    parser = callgrind.arguments(__doc__, "bench_store")
    parser.add_argument("--interval", type=int, nargs="*", default=[5, 1, 30])
    args = parser.parse_args()
    rows = []
    for interval in args.interval:
        # Long enough that checkpoints of the WAL are in it as often as in a long life.
        short, long = max(4, 300 // interval), max(12, 1500 // interval)
        counts = {mode: callgrind.per_item(
            [args.program, "--mode", mode, "--interval", interval, "--flushes"], short, long,
            interval * READINGS_PER_SECOND) for mode in ("floor", "append", "both", "online", "drain")}
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
            "both_stages_with_floor": round(counts["both"], 1),
            "goal_both_stages_with_floor": 500,
            "file_bytes_per_reading": round(run["file_bytes"] / run["readings"], 2),
            "drain_readings_per_s": round(run["fetched"] / run["drain_s"]),
        })
    print("instructions per reading (200 attributes of 10 devices, once a second)\n\n"
          "| flush | floor | append with floor | both stages with floor | goal | online with floor |"
          " drain | file bytes a reading |\n|---|---|---|---|---|---|---|---|")
    for r in rows:
        print(f"| {r['interval_s']} s | {r['floor']:.0f} | {r['append_with_floor']:.0f} | "
              f"{r['both_stages_with_floor']:.0f} | {r['goal_both_stages_with_floor']} | "
              f"{r['online_with_floor']:.0f} | {r['fetch_acknowledge_delete']:.0f} | "
              f"{r['file_bytes_per_reading']:.2f} |")
    rows += print_backlogs(args.program)
    callgrind.write(args.json, rows)


if __name__ == "__main__":
    main()
