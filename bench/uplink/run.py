#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the way to the broker costs: messages a second beside a bare libmosquitto loop, on each
transport and on a line of 52 ms; memory while the broker is away and while the backlog drains; and
how old what is new is on slow lines.

Build first: cmake --preset release && cmake --build --preset release
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("FIELDPOST_BUILD_DIR", str(ROOT / "build/release"))
sys.path.insert(0, str(ROOT / "tests"))
from fakes import field, losant  # noqa: E402  pylint: disable=wrong-import-position
from fakes.backlog import Ages, Outage  # noqa: E402  pylint: disable=wrong-import-position

WINDOW = 20
PAYLOAD = 2048   # bytes, at most
DELAY = 0.026    # seconds, each way
SCHEMES = losant.SCHEMES
# What each is measured against, and how much of it is wanted.
GOALS = {"mqtt": ("bare mqtt", 0.9), "mqtts": ("bare mqtts", 0.9), "ws": ("bare mqtt", 0.7),
         "wss": ("bare mqtts", 0.6)}


class Broker(field.Broker):
    """Debian's mosquitto, and nothing of ours, on four transports."""

    def __init__(self, folder):
        self.ports = dict(zip(SCHEMES, losant.free_ports(len(SCHEMES))))
        self.ca, cert, key = losant.make_certificates(folder)
        files = f"certfile {cert}\nkeyfile {key}\n"
        web = "protocol websockets\nsocket_domain ipv4\n"
        super().__init__(folder, self.ports["mqtt"], (
            f"listener {self.ports['mqtts']} 127.0.0.1\n{files}"
            f"listener {self.ports['ws']} 127.0.0.1\n{web}"
            f"listener {self.ports['wss']} 127.0.0.1\n{web}{files}"))


class SlowLine(field.Process):
    """tests/fakes/slow_line.py."""

    def __init__(self, to, *options):
        self.port = field.free_port()
        super().__init__([field.PYTHON, ROOT / "tests/fakes/slow_line.py", "--port", self.port,
                          "--to", to, *options])
        self.wait(lambda: "ready" in self.text(), "the slow line")


def measured(program, *options):
    ran = subprocess.run([str(a) for a in (field.BUILD / "bench" / program, *options)],
                         capture_output=True, text=True, check=True, timeout=120)
    return json.loads(ran.stdout)


def agent(broker, scheme, port, seconds, order="oldest-first"):
    return measured("uplink_agent", "--url", f"{scheme}://127.0.0.1:{port}", "--ca", broker.ca,
                    "--payload", PAYLOAD, "--order", order, "--seconds", seconds)


def bare(broker, scheme, port, seconds, size, window=WINDOW):
    ca = ("--ca", broker.ca) if scheme == "mqtts" else ()
    return measured("uplink_bare", "--port", port, *ca, "--bytes", size, "--seconds", seconds,
                    "--window", window)


def medians(runs, cases):
    """Alternating, so that whatever else the machine does hits all of them."""
    found = {name: [] for name in cases}
    for _ in range(runs):
        for name, run in cases.items():
            found[name].append(run())
    return {name: {key: statistics.median(run[key] for run in all_runs) for key in all_runs[0]}
            for name, all_runs in found.items()}


def rates(args):
    """Messages a second on loopback."""
    with field.Field() as f:
        broker = Broker(f.folder)
        f.stack.callback(broker.stop)
        size = round(agent(broker, "mqtt", broker.ports["mqtt"], 1)["bytes"])
        cases = {f"bare {s}": lambda s=s: bare(broker, s, broker.ports[s], args.seconds, size)
                 for s in ("mqtt", "mqtts")}
        cases |= {s: lambda s=s: agent(broker, s, broker.ports[s], args.seconds) for s in SCHEMES}
        found = medians(args.runs, cases)
    for scheme, (floor, goal) in GOALS.items():
        found[scheme] |= {"floor": floor, "goal": goal, "ratio": found[scheme]["messages_per_s"]
                          / found[floor]["messages_per_s"]}
    print(f"messages of {size} bytes, window {WINDOW}, median of {args.runs} runs\n\n"
          "| | messages/s | CPU µs each | of | ratio | goal |\n|---|---|---|---|---|---|")
    for name, row in found.items():
        beside = (f"{row['floor']} | {row['ratio']:.2f} | {row['goal']}" if "goal" in row else " |  | ")
        print(f"| {name} | {row['messages_per_s']:,.0f} | {row['cpu_ns'] / 1000:.1f} | {beside} |")
    return found


def delayed(args):
    """Messages a second on a line of 52 ms, where the window is what counts. How long a round trip
    really takes, with the line's own time and the broker's, a window of one message shows."""
    with field.Field() as f:
        broker = Broker(f.folder)
        f.stack.callback(broker.stop)
        lines = {s: f.add(SlowLine(broker.ports[s], "--delay", DELAY)) for s in SCHEMES}
        cases = {f"bare {s}, window {w}": lambda s=s, w=w: bare(broker, s, lines[s].port, args.seconds,
                                                                PAYLOAD, w)
                 for s, w in (("mqtt", 1), ("mqtt", WINDOW), ("mqtts", WINDOW))}
        cases |= {s: lambda s=s: agent(broker, s, lines[s].port, args.seconds) for s in SCHEMES}
        cases["mqtt, live-first"] = lambda: agent(broker, "mqtt", lines["mqtt"].port, args.seconds,
                                                  "live-first")
        found = medians(args.runs, cases)
    one = found.pop("bare mqtt, window 1")["messages_per_s"]
    most = WINDOW * one
    print(f"\na line of {2000 * DELAY:.0f} ms: a round trip takes {1000 / one:.1f} ms, window / round "
          f"trip is {most:.1f}/s\n\n"
          "| | messages/s | of window / round trip | goal |\n|---|---|---|---|")
    for name, row in found.items():
        row["ratio"] = row["messages_per_s"] / most
        print(f"| {name} | {row['messages_per_s']:.1f} | {row['ratio']:.3f} | "
              f"{0.95 if name in SCHEMES else ''} |")
    return found


class Deserted:
    """A daemon without its broker, with `hours` that wait from before."""

    def __init__(self, stage, hours, interval):
        self.port = field.free_port()
        outage = Outage(devices=12, attributes=5)
        (stage.folder / "state").mkdir()
        outage.make(stage.folder / "state", int(hours * 3600))
        self.daemon = stage.agent(outage.config(
            f'url = "mqtt://127.0.0.1:{self.port}"\nlimits = "plain"\nbackoff_max = "1s"\n',
            interval=interval)).wait_until_up()

    def kib(self, what="Pss"):
        """Of its memory; `Anonymous` is its own alone, whoever else uses the same libraries."""
        rollup = pathlib.Path(f"/proc/{self.daemon.child.pid}/smaps_rollup").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith(what + ":"))

    def waiting(self):
        return self.daemon.status()["outbox"]["waiting"]


def memory(args):
    """PSS of the daemon in an outage that goes a hundred times as fast, and what it takes for itself
    while a day drains."""
    rows, most = [], 0
    with field.Field() as f:
        deserted = Deserted(f, 0, "10ms")
        for _ in range(8):
            time.sleep(args.outage / 8)
            rows.append(deserted.kib())
        kept = deserted.waiting()
    with field.Field() as f:
        deserted = Deserted(f, args.hours, "1s")
        time.sleep(15)  # until it does what it does all the time
        before, readings = deserted.kib("Anonymous"), deserted.waiting()
        broker = field.Broker(f.folder, deserted.port)
        f.stack.callback(broker.stop)
        while deserted.waiting() > 1000:
            most = max(most, deserted.kib("Anonymous"))
            time.sleep(0.02)
        after = deserted.kib("Anonymous")
    print(f"\nPSS of the daemon, KiB, {args.outage} s without a broker at 1,200 states/s ({kept:,} readings "
          f"that wait in the end): {', '.join(map(str, rows))}\nat 12 states/s, with {args.hours:g} h that "
          f"wait ({readings:,} readings), its own: {before}; while they drain {most} at most, "
          f"+ {most - before} (goal 5120); then {after}")
    return {"outage_s": args.outage, "outage_kib": rows, "outage_readings": kept, "readings": readings,
            "before_kib": before, "most_kib": most, "after_kib": after}


def slow_lines(args):
    """How old what is new is, while an hour of backlog drains as well."""
    found = []
    for rate, devices in ((2000, 2), (50_000, 12)):
        with field.Field() as f:
            broker = f.broker()
            witness = f.witness(broker)
            line = f.add(SlowLine(broker.port, "--rate", rate))
            outage = Outage(devices=devices, attributes=2)
            (f.folder / "state").mkdir()
            outage.make(f.folder / "state", 3600)
            daemon = f.agent(outage.config(f'url = "mqtt://127.0.0.1:{line.port}"\n')).wait_until_up()
            field.eventually(lambda: daemon.status()["uplink"]["state"] == "connected", 60)
            ages = Ages(outage, since_ms=time.time() * 1000 + 3000)
            began = time.monotonic()
            while time.monotonic() - began < args.line:
                time.sleep(1)
            status = daemon.status()
            row = {"bytes_per_s": rate, "devices": devices, "connections": status["uplink"]["connections"],
                   "waiting": status["outbox"]["waiting"], "lost": status["outbox"]["lost"],
                   **ages.of_witness(witness)}
            found.append(row)
            daemon.end()
    print(f"\nslow lines, {args.line} s, each with an hour of backlog\n\n"
          "| bytes/s | devices at 1/s | connections | age of what is new: median | at most | backlog left |\n"
          "|---|---|---|---|---|---|")
    for r in found:
        print(f"| {r['bytes_per_s']:,} | {r['devices']} | {r['connections']} | {r['median_s']:.1f} s | "
              f"{r['most_s']:.1f} s | {r['waiting']:,} |")
    return found


PARTS = {"rates": rates, "delay": delayed, "memory": memory, "lines": slow_lines}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="of it; all unless given")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("--outage", type=int, default=120, help="seconds without a broker")
    parser.add_argument("--hours", type=float, default=24, help="of the backlog that drains")
    parser.add_argument("--line", type=int, default=120, help="seconds on a slow line")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file as well")
    args = parser.parse_args()
    found = {name: PARTS[name](args) for name in args.parts or PARTS}
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
