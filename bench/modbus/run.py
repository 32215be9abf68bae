#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What polling Modbus costs, beside bare programs that make the same requests and publish the same.

All run side by side in the same seconds, so that whatever else the machine does hits all of them.
Prints a table and, with --json FILE, writes the same as JSON. All figures come from /proc, in the
same way for all processes: CPU in ns from schedstat, context switches (both kinds) from status, PSS
from smaps_rollup. Only the ratios mean something on another machine.
"""
import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests"))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position

# hosts, units of each, registers of each unit, interval in ms
LOADS = [(1, 4, 250, 100), (4, 1, 250, 100), (1, 1, 100, 1000)]


class Used:
    """What processes have used so far, and their memory now."""

    def __init__(self, pids):
        self.cpu_ns = self.switches = 0
        pss = []
        for pid in pids:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                self.cpu_ns += int((task / "schedstat").read_text().split()[0])
                self.switches += sum(int(line.split()[1])
                                     for line in (task / "status").read_text().splitlines()
                                     if "ctxt_switches" in line)
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            pss.append(next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")))
        self.pss_kib = sum(pss) / len(pss)
        self.at = time.monotonic()


def figures(before, after, values):
    return {"cpu_ns_per_value": (after.cpu_ns - before.cpu_ns) / values,
            "switches_per_s": (after.switches - before.switches) / (after.at - before.at),
            "pss_kib": after.pss_kib}


def config(broker, servers, load):
    hosts, units, registers, interval_ms = load
    text = (f'config_version = 1\n[gateway]\ndevice_id = "{field.GATEWAY}"\n'
            f'[uplink]\nurl = "mqtt://127.0.0.1:{broker}"\nlimits = "plain"\n[clock]\ntrust = "always"\n')
    for u in range(1, hosts * units + 1):
        text += f'[[device]]\nname = "d{u}"\nid = "{u:024x}"\n'
    for h, server in enumerate(servers):
        text += (f'[[plugin]]\nname = "plc{h}"\ntype = "modbus"\ninterval = "{interval_ms}ms"\n'
                 'report = "always"\n'
                 f'options.url = "tcp://127.0.0.1:{server}"\n')
        for u in range(1, units + 1):
            text += (f'[[plugin.unit]]\naddress = {u}\nname = "u{u}"\n'
                     f'device = "d{h * units + u}"\n')
            for r in range(registers):
                text += ('[[plugin.unit.register]]\n'
                         f'attribute = "r{r}"\ntable = "holding"\naddress = {r}\ntype = "uint16"\n')
    return text


class Bare:
    """One program for each port; together they carry the load for so many seconds."""

    def __init__(self, f, name, ports, load, seconds):
        hosts, units, registers, interval_ms = load
        args = [hosts * units // len(ports), registers, interval_ms, seconds * 1000 // interval_ms]
        self.name, self.seconds = name, seconds
        self.all = [f.add(field.Process([field.BUILD / "bench" / name, port, *args],
                                        stdin=subprocess.PIPE)) for port in ports]
        for p in self.all:
            p.wait(lambda p=p: p.lines, f"the first turn of {name}")
        self.pids = [p.child.pid for p in self.all]

    def values(self):
        """How many, once all have done their last turn; they stay until the end of the field."""
        for p in self.all:
            field.eventually(lambda p=p: len(p.lines) > 1 or p.child.poll() is not None,
                             self.seconds + 30, f"the last turn of {self.name}")
            assert p.child.poll() is None, p.text()
        return sum(int(p.lines[1][1]) for p in self.all)


def servers(f, load):
    """One Modbus server for each host: a bus has one master."""
    hosts, units, registers, _ = load
    values = " ".join(str(1000 + r) for r in range(registers))
    own = range(1, units + 1)
    return [f.modbus(units=",".join(map(str, own)),
                     do=[f"set {u} holding 0 {values}" for u in own]).port for _ in range(hosts)]


def measure(load, seconds):
    hosts, units, registers, interval_ms = load
    with field.Field() as f:
        broker = f.broker().port
        agent = f.agent(config(broker, servers(f, load), load)).wait_until_up(60)
        field.eventually(
            lambda: agent.status()["uplink"]["readings"] > hosts * units * registers, 30,
            "the delivery of the first readings")
        bare = {"floor": Bare(f, "modbus_floor", servers(f, load), load, seconds),
                "publisher": Bare(f, "modbus_publisher", [broker], load, seconds)}
        pids = {"daemon": [agent.child.pid], "host": [p["pid"] for p in agent.status()["plugins"]],
                **{name: b.pids for name, b in bare.items()}}

        def readings():
            return sum(p["readings"] for p in agent.status()["plugins"])
        before, first = {name: Used(p) for name, p in pids.items()}, readings()
        values = {name: b.values() for name, b in bare.items()}
        after, polled = {name: Used(p) for name, p in pids.items()}, readings() - first
        values |= {"daemon": polled, "host": polled}
        row = {"hosts": hosts, "units": hosts * units, "registers": hosts * units * registers,
               "hz": 1000 / interval_ms, "values": polled,
               "lost": agent.status()["outbox"]["lost"],
               **{name: figures(before[name], after[name], values[name]) for name in pids}}
    floor, publisher, host, daemon = (row[k] for k in ("floor", "publisher", "host", "daemon"))

    def over(a, b, what="cpu_ns_per_value"):
        return sum(x[what] for x in a) / sum(x[what] for x in b)
    row["ratios"] = {
        "host_to_floor": over([host], [floor]),
        "agent_to_floor": over([host, daemon], [floor]),
        "agent_to_floor_and_publisher": over([host, daemon], [floor, publisher]),
        "host_pss": over([host], [floor], "pss_kib"),
        "daemon_pss": over([daemon], [publisher], "pss_kib"),
        "switches": over([host, daemon], [floor, publisher], "switches_per_s")}
    return row


def show(row):
    print(f"{row['registers']} registers of {row['units']} units at {row['hz']:g} Hz, "
          f"{row['hosts']} plugin host(s): {row['values']} values, {row['lost']} lost")
    print("                            CPU ns/value   PSS KiB each   context switches/s")
    for key, name in (("floor", "bare libmodbus loop"), ("host", "plugin host"),
                      ("publisher", "bare libmosquitto"), ("daemon", "daemon")):
        x = row[key]
        print(f"  {name:24} {x['cpu_ns_per_value']:13.0f} {x['pss_kib']:14.0f} "
              f"{x['switches_per_s']:20.0f}")
    r = row["ratios"]
    print(f"  CPU: host/floor {r['host_to_floor']:.2f}, agent/floor {r['agent_to_floor']:.2f}, "
          f"agent/(floor + publisher) {r['agent_to_floor_and_publisher']:.2f}")
    print(f"  PSS: host/floor {r['host_pss']:.2f}, daemon/publisher {r['daemon_pss']:.2f}; "
          f"context switches: agent/(floor + publisher) {r['switches']:.2f}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=20, help="for each figure (20)")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file as well")
    args = parser.parse_args()
    rows = []
    for load in LOADS:
        rows.append(measure(load, args.seconds))
        show(rows[-1])
    print("goals at 1,000 registers and 10 Hz: host/floor <= 1.5, agent/floor <= 5; "
          "PSS: host <= 1 MB with four running, daemon/publisher <= 1.4")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
