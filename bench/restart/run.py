#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long a restart leaves devices unread: from SIGTERM to the next process's first reading, by parts.

Floor: the daemon's program started and ended by `--version`, which loads the same libraries and does
nothing; it is in the part `configuration`, too. systemd's own share (its sandbox, the credentials) is not in here: the rig's scenario
`upgrade` has it. Prints a table and, with --json FILE, writes the same as JSON.

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
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position

INTERVAL = 20  # ms
CONFIG = f"""config_version = 1
[gateway]
device_id = "{field.GATEWAY}"
[uplink]
url = "mqtt://127.0.0.1:{{port}}"
limits = "plain"
batch_max_age = "100ms"
[clock]
trust = "always"
[health]
enabled = false
[[plugin]]
name = "counter"
type = "sim"
interval = "{INTERVAL}ms"
[[plugin.signal]]
attribute = "n"
shape = "counter"
"""
# Three more types. Nobody answers the last one.
OTHERS = """
[[plugin]]
name = "system"
type = "system"
[[plugin]]
name = "script"
type = "exec"
options.command = "/bin/sleep 1000"
[[plugin.reading]]
attribute = "answer"
[[plugin]]
name = "plc"
type = "modbus"
options.url = "tcp://127.0.0.1:9"
[[plugin.register]]
attribute = "level"
table = "holding"
address = 1
"""
# Lines of the log at which a part ends, in their order.
MARKS = {"configuration": "the last run was stopped", "outbox and stage": "started"}
PARTS = ("stop", *MARKS, "host and first reading")


def floor():
    began = time.monotonic()
    subprocess.run([field.Agent.daemon, "--version"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def readings(witness):
    return [(at, data["n"]) for _, at, data in witness.states(field.GATEWAY) if "n" in data]


def restart(agent, witness, config):
    """The next agent, and the seconds of each part of the way to it."""
    eventually(lambda: readings(witness)[-1:] and readings(witness)[-1][1] > 20, "readings")
    told, told_utc = time.monotonic(), time.time()
    if agent.end() != 0:
        raise AssertionError(agent.text())
    ended = time.monotonic()
    fresh = field.Agent(agent.folder, config, args=("--log-level", "debug"))
    try:
        fresh.wait_until_up()
        first = eventually(lambda: [at for at, value in readings(witness) if value == 0 and at / 1000 > told_utc],
                           "the first reading")[0] / 1000 - told_utc
        at = {"stop": ended - told, "host and first reading": first}
        for part, words in MARKS.items():
            at[part] = next(when for when, line in list(fresh.lines) if words in line) - told
    except BaseException:
        fresh.end()
        raise
    found, before = {"gap": first}, 0
    for part in PARTS:
        found[part], before = at[part] - before, at[part]
    return fresh, found


def eventually(condition, what):
    return field.eventually(condition, 30, what)


def measure(config, runs):
    """Medians, in ms."""
    with field.Field() as f:
        broker = f.broker()
        witness = f.witness(broker)
        text = config.replace("{port}", str(broker.port))
        agent = field.Agent(f.folder, text).wait_until_up()
        found = []
        try:
            for _ in range(runs):
                agent, parts = restart(agent, witness, text)
                found.append(parts | {"floor": floor()})
        finally:
            agent.end()
    return {name: 1000 * statistics.median(run[name] for run in found) for name in found[0]} | \
        {"longest gap": 1000 * max(run["gap"] for run in found)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--json")
    args = parser.parse_args()
    found = {"1 plugin": measure(CONFIG, args.runs), "4 plugins of 4 types": measure(CONFIG + OTHERS, args.runs)}
    columns = ("floor", *PARTS, "gap", "longest gap")
    print(f"ms, medians of {args.runs}\n\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, row in found.items():
        print(f"| {name} | {' | '.join(f'{row[column]:.0f}' for column in columns)} |")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
