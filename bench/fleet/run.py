#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How a fleet comes back after its broker was restarted: the agent's back-off and others.

Simulated (bench_fleet), the same at every run, done in seconds.
Build first: cmake --preset release && cmake --build --preset release --target bench_fleet
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import callgrind  # noqa: E402  pylint: disable=wrong-import-position

ONE = {"gateways": 100_000, "applications": 1}
MANY = {"gateways": 100_000, "applications": 100}
UNLIMITED = {"limit": 1_000_000, "window": 1}
POLICIES = {
    "agent": "the agent: 5 min, 1 h when throttled",
    "judging:1": "the agent with 1 min",
    "judging:15": "the agent with 15 min",
    "backoff:60": "full jitter to 1 h, whatever was said",
    "doubling:5": "doubling to 5 min, no jitter",
    "fixed:60": "every minute",
    "fixed:1": "every second",
}


def length(seconds):
    """For people."""
    if seconds < 0:
        return "never"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} h"


def attempts(row):
    """Of one gateway until all are back; where that never comes, in an hour."""
    if row["not_back"] == 0:
        return f"{row['each']:,.1f}"
    return f"{row['each'] / row.get('give_up', 24):,.1f} an hour"


class Bench:
    def __init__(self, program):
        self.program = program
        self.rows = []

    def run(self, **scenario):
        """One run; its outcome, which goes into the JSON as well."""
        out = subprocess.run([self.program, *(f"{k}={v}" for k, v in scenario.items())],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
        row = {**scenario, **json.loads(out)}
        row["each"] = row["attempts"] / row["gateways"]
        self.rows.append(row)
        return row

    def policies(self, fleet):
        for policy, words in POLICIES.items():
            cells = []
            # Who takes no notice of how it was turned away fares the same both times.
            judges = policy == "agent" or policy.startswith("judging")
            for refusal in ("connack", "close") if judges else ("connack",):
                # Every second is too much to simulate for a day.
                hours = 3 if policy == "fixed:1" else 24
                r = self.run(policy=policy, refusal=refusal, give_up=hours, **fleet)
                cells += [f"{r['peak']:,}", attempts(r), length(r["all_s"])]
            cells = cells if judges else cells * 2
            print(f"| {words} | " + " | ".join(cells) + " |")

    def first_pause(self):
        for down in (0, 10, 60, 600):
            cells = []
            for policy in ("agent", "spread:30"):
                for fleet in (ONE, MANY):
                    r = self.run(policy=policy, down=down, **fleet)
                    cells += [f"{r['peak']:,}", f"{r['each']:.1f}", length(r["all_s"])]
            print(f"| {down} s | " + " | ".join(cells) + " |")

    def sizes(self):
        for size in (1_000, 3_000, 10_000, 30_000, 100_000):
            cells = [length(size / 20)]
            for excess in ("refuse", "ban", "count"):
                r = self.run(policy="agent", gateways=size, excess=excess, refusal="connack",
                             give_up=12)
                cells.append(length(r["all_s"]))
            for cap in (1, 5, 15):
                r = self.run(policy=f"judging:{cap}", gateways=size, excess="ban", refusal="close")
                cells.append(length(r["all_s"]))
            for cap in (5, max(5, math.ceil(size / 600))):
                if cap > 60:  # the longest that the simulation knows
                    cells.append("")
                    continue
                r = self.run(policy=f"judging:{cap}", gateways=size, excess="count", refusal="close",
                             give_up=12)
                cells.append(length(r["all_s"]))
            print(f"| {size:,} | " + " | ".join(cells) + " |")

    def flapping(self):
        for up in (5, 30, 90):
            cells = []
            for policy in ("agent", "eager"):
                r = self.run(policy=policy, deaths=20, up=up, down=5, **ONE, **UNLIMITED)
                cells += [f"{r['each']:.1f}", length(r["most_s"])]
            print(f"| {up} s | " + " | ".join(cells) + " |")

    def own(self):
        balancer = {"limit": 5_000, "window": 1}
        for gateways in (1_000, 10_000, 100_000, 167_000, 1_000_000):
            cells = []
            for down, limit in ((0, UNLIMITED), (10, UNLIMITED), (60, UNLIMITED),
                                (0, balancer), (60, balancer)):
                r = self.run(gateways=gateways, down=down, excess="refuse", refusal="close", **limit)
                cells += [f"{r['peak']:,}", length(r["most_s"])]
            print(f"| {gateways:,} | " + " | ".join(cells) + " |")


def heading(words, columns):
    print(f"\n{words}\n\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=str(callgrind.BUILD / "bench/bench_fleet"))
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file as well")
    args = parser.parse_args()
    bench = Bench(args.program)
    both = [f"{way}: {what}" for way in ("CONNACK 5", "closed")
            for what in ("peak/s", "attempts each", "all back")]
    heading("one application of 100,000, down for 10 s", ["policy", *both])
    bench.policies(ONE)
    heading("100 applications of 1,000, down for 10 s", ["policy", *both])
    bench.policies(MANY)
    heading("the first pause", ["down", *(
        f"{policy}, {fleet}: {what}" for policy in ("1 s", "1 to 30 s")
        for fleet in ("1 x 100,000", "100 x 1,000")
        for what in ("peak/s", "attempts each", "all back"))])
    bench.first_pause()
    heading("all back, by size of one application", [
        "gateways", "at 20/s", "CONNACK 5: turned away", "turned away and banned",
        "every attempt counts", "closed and banned, cap 1 min", "5 min", "15 min",
        "closed, every attempt counts, 5 min", "gateways / 10 s"])
    bench.sizes()
    heading("a broker that dies 20 times, back after 5 s, no limit", [
        "up for", "agent: attempts each", "99 % back", "reset at once: attempts each", "99 % back"])
    bench.flapping()
    heading("a broker of one's own", ["gateways", *(
        f"{what}: {figure}"
        for what in ("down 0 s", "10 s", "60 s", "0 s, 5,000/s let in", "60 s, 5,000/s let in")
        for figure in ("peak/s", "99 % back"))])
    bench.own()
    callgrind.write(args.json, bench.rows)


if __name__ == "__main__":
    main()
