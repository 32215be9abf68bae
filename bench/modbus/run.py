#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What polling Modbus costs, beside a bare libmodbus loop that makes the same requests.

Prints a table and, with --json FILE, the same as JSON. CPU is user and system time of the processes
from /proc; PSS is from smaps_rollup. Ratios of one run; absolute figures depend on the machine.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests"))
from fakes import field  # noqa: E402  pylint: disable=wrong-import-position

TICK = 100  # USER_HZ, fixed in the kernel's ABI


def usage(pid):
    """CPU seconds, context switches and PSS in KiB of a process."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    switches = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                switches += int(line.split()[1])
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    pss = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return (int(stat[11]) + int(stat[12])) / TICK, switches, pss


def config(broker, server, units, registers, interval_ms):
    text = (f'config_version = 1\n[gateway]\ndevice_id = "{field.GATEWAY}"\n'
            f'[uplink]\nurl = "mqtt://127.0.0.1:{broker}"\n')
    for u in range(1, units + 1):
        text += f'[[device]]\nname = "d{u}"\nid = "{u:024x}"\n'
    text += (f'[[plugin]]\nname = "plc"\ntype = "modbus"\ninterval = "{interval_ms}ms"\n'
             f'options.url = "tcp://127.0.0.1:{server}"\n')
    for u in range(1, units + 1):
        text += f'[[plugin.unit]]\naddress = {u}\nname = "u{u}"\ndevice = "d{u}"\n'
        for r in range(registers):
            text += ('[[plugin.unit.register]]\n'
                     f'attribute = "r{r}"\ntable = "holding"\naddress = {r}\ntype = "uint16"\n')
    return text


def bare(name, port, units, registers, interval_ms, seconds):
    out = subprocess.run([str(field.BUILD / "bench" / name), str(port), str(units), str(registers),
                          str(interval_ms), str(seconds)], capture_output=True, text=True, check=True)
    cpu, values = out.stdout.split()
    return float(cpu), int(values)


def measure(units, registers, interval_ms, seconds):
    with field.Field() as f:
        broker = f.broker()
        server = f.modbus(units=",".join(str(u) for u in range(1, units + 1)))
        agent = f.agent(config(broker.port, server.port, units, registers, interval_ms))
        agent.wait_until_up(60)
        field.eventually(lambda: agent.status()["uplink"]["readings"] > units * registers, 30)
        host = agent.plugin("plc")["pid"]
        before = {p: usage(p) for p in (agent.child.pid, host)}
        readings = agent.plugin("plc")["readings"]
        time.sleep(seconds)  # the length of the measurement, not a wait for something
        after = {p: usage(p) for p in (agent.child.pid, host)}
        readings = agent.plugin("plc")["readings"] - readings
        lost = agent.status()["outbox"]["lost"]
        agent.end()
        floor, floor_values = bare("modbus_floor", server.port, units, registers, interval_ms, seconds)
        publish, publish_values = bare("modbus_publisher", broker.port, units, registers, interval_ms,
                                       seconds)
    def per_value(pid):
        return (after[pid][0] - before[pid][0]) / readings * 1e6
    base = floor / floor_values * 1e6
    daemon, hosted = per_value(agent.child.pid), per_value(host)
    return {
        "registers": units * registers, "hz": 1000 / interval_ms, "values": readings, "lost": lost,
        "floor_us": base, "publisher_us": publish / publish_values * 1e6,
        "host_us": hosted, "daemon_us": daemon,
        "host_ratio": hosted / base, "agent_ratio": (hosted + daemon) / base,
        "host_pss_kib": after[host][2], "daemon_pss_kib": after[agent.child.pid][2],
        "host_switches_s": (after[host][1] - before[host][1]) / seconds,
        "daemon_switches_s": (after[agent.child.pid][1] - before[agent.child.pid][1]) / seconds,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    rows = [measure(4, 250, 100, args.seconds), measure(1, 100, 1000, args.seconds)]
    print("registers    Hz  floor us  publisher us  host us  daemon us  host/floor  agent/floor  "
          "PSS host  PSS daemon  switches/s")
    for r in rows:
        print(f"{r['registers']:9} {r['hz']:5.0f} {r['floor_us']:9.2f} {r['publisher_us']:13.2f} "
              f"{r['host_us']:8.2f} {r['daemon_us']:10.2f} {r['host_ratio']:11.2f} "
              f"{r['agent_ratio']:12.2f} {r['host_pss_kib']:6} KiB {r['daemon_pss_kib']:7} KiB "
              f"{r['host_switches_s'] + r['daemon_switches_s']:11.0f}")
    print("goals at 1,000 registers and 10 Hz: host/floor <= 1.5, agent/floor <= 5")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


main()
